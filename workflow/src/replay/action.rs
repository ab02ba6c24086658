//! What replay asks of the driver.

use crate::{
    engine::{Failure, Report},
    protocol::Step,
};

/// What the driver is to do next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "few actions are alive at a time, and most of them are reports"
)]
pub(crate) enum Action {
    /// Let this member of the group run its body.
    Run {
        /// The member, by the order of the claims.
        member: usize,
        /// Which attempt it is, counted from 1.
        attempt: u32,
    },
    /// Make a report, and give the answer to [`Replay::replied`].
    Report {
        /// The member of the group that it is about, if it is about one.
        member: Option<usize>,
        /// The report.
        report: Report,
    },
    /// Give all members of the group their results at once; those that were given up have none.
    Release {
        /// The results, by the order of the claims.
        results: Vec<Option<Step>>,
        /// Which attempt the code that now runs is in.
        attempt: u32,
    },
    /// End the invocation.
    End(Ending),
}

/// How an invocation ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The function has returned, and the engine knows.
    Completed,
    /// The workflow has cancelled its own run, and the engine knows.
    Canceled,
    /// There is nothing to do for now; the engine calls again.
    Suspended,
    /// The run has ended elsewhere.
    RunEnded,
    /// The delivery is one that has been handled already.
    Repeated,
    /// An attempt has failed, and the engine is to learn it from the answer.
    Failed(Box<Failure>),
}
