//! Which steps of the history the steps of a group are.
//!
//! A group takes the next positions. A step alone in its group is matched by its position. Steps of a larger group are
//! matched by their names: a program may poll its branches in another order than last time (`tokio::join!` rotates them),
//! so the order of the claims says nothing.

use std::collections::HashMap;

use super::{Claim, Divergence, DivergenceKind, Fault, recorded::Recorded};
use crate::protocol::Step;

/// The positions of the steps of a group that begins at `first`, in the order of the claims.
pub(super) fn positions(claims: &[Claim], first: u32, recorded: &Recorded) -> Result<Vec<u32>, Fault> {
    check_names(claims)?;
    let Some(leader) = claims.first() else { return Ok(Vec::new()) };
    let size = u32::try_from(claims.len()).unwrap_or(u32::MAX);
    let end = first.saturating_add(size);
    if recorded.first().is_none() {
        return Ok((first..end).collect());
    }
    let mut results = 0;
    for (_, step) in recorded.group(first..end) {
        results += u32::from(step.step_id != 0);
        if step.concurrent != size {
            return Err(other_size(first, step, size, leader));
        }
    }
    if results < size
        && let Some(later) = recorded.first_from(end)
    {
        return Err(match recorded.group(first..end).next() {
            None if later.concurrent > 1 => other_size(first, later, size, leader),
            _ => gap(first, claims, recorded, later),
        });
    }
    match claims {
        [claim] => {
            if let Some((id, step)) = recorded.group(first..end).next() {
                check(claim, id, step, size)?;
            }
            Ok(vec![first])
        }
        _ => by_name(claims, first..end, size, recorded),
    }
}

fn by_name(
    claims: &[Claim],
    ids: std::ops::Range<u32>,
    size: u32,
    recorded: &Recorded,
) -> Result<Vec<u32>, Fault> {
    let mut named: HashMap<&str, (u32, &Step)> = HashMap::new();
    let mut twice = None;
    for (id, step) in recorded.group(ids.clone()) {
        if named.insert(step.step_name.as_str(), (id, step)).is_some() {
            twice = Some((id, step));
        }
    }
    let mut free = {
        let mut taken = recorded.group(ids.clone()).map(|(id, _)| id).collect::<Vec<_>>();
        taken.sort_unstable();
        ids.filter(move |id| taken.binary_search(id).is_err())
    };
    let mut found = Vec::with_capacity(claims.len());
    for claim in claims {
        let known = named.remove(claim.name.as_str());
        if let Some((id, step)) = known {
            check(claim, id, step, size)?;
        }
        found.push(known.map(|(id, _)| id));
    }
    let stranger = || claims.iter().zip(&found).find(|(_, id)| id.is_none()).map(|(claim, _)| claim);
    let unclaimed = named.into_values().min_by_key(|(id, _)| *id);
    if let Some((id, step)) = twice.or(unclaimed)
        && let Some(claim) = stranger().or(claims.first())
    {
        return Err(other_step(claim, id, step, size));
    }
    Ok(found.into_iter().filter_map(|id| id.or_else(|| free.next())).collect())
}

fn check_names(claims: &[Claim]) -> Result<(), Fault> {
    if let Some(claim) = claims.iter().find(|claim| claim.name.is_empty()) {
        return Err(Fault::NoName { location: claim.location });
    }
    if claims.len() < 2 {
        return Ok(());
    }
    let mut seen = HashMap::with_capacity(claims.len());
    for claim in claims {
        if let Some(first) = seen.insert(claim.name.as_str(), claim.location) {
            return Err(Fault::SameName { name: claim.name.clone(), first, second: claim.location });
        }
    }
    Ok(())
}

fn check(claim: &Claim, id: u32, step: &Step, size: u32) -> Result<(), Fault> {
    if claim.name == step.step_name && claim.step_type() == step.step_type {
        Ok(())
    } else {
        Err(other_step(claim, id, step, size))
    }
}

fn other_step(claim: &Claim, id: u32, step: &Step, size: u32) -> Fault {
    Divergence::new(DivergenceKind::Step, id, Some(step.into()), Some(claim.produced(id, size))).into()
}

fn other_size(first: u32, step: &Step, size: u32, leader: &Claim) -> Fault {
    let produced = leader.produced(first, size);
    Divergence::new(DivergenceKind::GroupSize, first, Some(step.into()), Some(produced)).into()
}

/// Names the first step of the group that is not recorded, beside the later one that is.
fn gap(first: u32, claims: &[Claim], recorded: &Recorded, later: &Step) -> Fault {
    let size = u32::try_from(claims.len()).unwrap_or(u32::MAX);
    let end = first.saturating_add(size);
    let known: Vec<_> = recorded.group(first..end).map(|(id, step)| (id, step.step_name.as_str())).collect();
    let missing = claims.iter().find(|claim| known.iter().all(|(_, name)| *name != claim.name));
    let id = (first..end).find(|id| known.iter().all(|(known, _)| known != id)).unwrap_or(first);
    let produced = missing.or(claims.first()).map(|claim| claim.produced(id, size));
    Divergence::new(DivergenceKind::NotRecorded, id, Some(later.into()), produced).into()
}
