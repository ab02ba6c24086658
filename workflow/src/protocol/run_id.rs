//! Run ids: `wfr_` and 21 characters that sort by time.
//!
//! Ids that grow with time keep a store's index compact: new runs are written next to each other. 48 bits of milliseconds
//! and 76 random bits fill 21 base-62 digits almost exactly.

/// What every run id begins with.
pub const RUN_ID_PREFIX: &str = "wfr_";

/// The digits in the order of their character codes, so that text order is number order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 21;
const RANDOM_BITS: u32 = 76;

/// Makes a run id for a run that is created at `now_ms` (milliseconds since the Unix epoch).
///
/// Ids made in different milliseconds sort by time; ids made in the same one are told apart by 76 random bits.
pub fn new_run_id(now_ms: i64) -> String {
    let time = u128::from(now_ms.max(0).unsigned_abs() & ((1 << 48) - 1));
    let random = rand::random::<u128>() >> (u128::BITS - RANDOM_BITS);
    let mut rest = (time << RANDOM_BITS) | random;
    let mut digits = [b'0'; LENGTH];
    for digit in digits.iter_mut().rev() {
        let value = usize::try_from(rest % 62).unwrap_or_default();
        *digit = DIGITS.get(value).copied().unwrap_or(b'0');
        rest /= 62;
    }
    RUN_ID_PREFIX.chars().chain(digits.into_iter().map(char::from)).collect()
}

/// The run id that a caller's own id stands for: with `wfr_` before it, unless it is there already.
pub fn run_id_of(id: &str) -> String {
    if id.starts_with(RUN_ID_PREFIX) { id.to_owned() } else { format!("{RUN_ID_PREFIX}{id}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_is_the_prefix_and_21_base_62_digits() {
        for now in [0, 1_700_000_000_000, (1 << 48) - 1, i64::MAX, -5] {
            let id = new_run_id(now);
            let digits = id.strip_prefix("wfr_").unwrap();
            assert_eq!(digits.len(), 21, "{id}");
            assert!(digits.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        }
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made_for() {
        let times = [0, 1, 61, 62, 1_600_000_000_000, 1_700_000_000_000, 1_700_000_000_001, (1 << 48) - 1];
        let ids: Vec<_> = times.iter().map(|&now| new_run_id(now)).collect();
        assert!(ids.is_sorted(), "{ids:?}");
    }

    #[test]
    fn ids_of_one_millisecond_differ() {
        let ids: HashSet<_> = (0..10_000).map(|_| new_run_id(1_700_000_000_000)).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn a_callers_id_gets_the_prefix_once() {
        assert_eq!(run_id_of("order-1"), "wfr_order-1");
        assert_eq!(run_id_of("wfr_order-1"), "wfr_order-1");
        assert_eq!(run_id_of(""), "wfr_");
    }
}
