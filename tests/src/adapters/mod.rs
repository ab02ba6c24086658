//! What every adapter of a web framework must do: one suite for all of them. `docs/adapters.md` is the contract in words.
//!
//! An adapter implements [`Harness`]: it mounts the suite's workflows in an app of its framework and serves it. The macro
//! [`conformance!`](crate::conformance) makes a test of each case. The suite speaks to the app over HTTP, and to its engine
//! through a client, so that it knows nothing of the framework.

pub mod answers;
pub mod deliveries;
mod harness;
pub mod limits;
pub mod panics;
pub mod rejections;
pub mod routing;
pub mod shutdown;
pub mod signatures;
mod site;
pub mod starting;
pub mod webhooks;
mod workflows;

pub use self::{
    harness::{Harness, REFUSED, REFUSES, Rejection, caller},
    site::Site,
    workflows::{Act, Echo, echo, play},
};

/// Makes a test of each case of the suite, for one [`Harness`].
#[macro_export]
macro_rules! conformance {
    ($harness:ty) => {
        $crate::conformance!($harness; routing:
            only_a_post_reaches_a_workflow
            a_nested_workflow_knows_its_whole_path
            workflows_that_share_a_route_are_told_apart_by_their_names
        );
        $crate::conformance!($harness; starting:
            a_post_starts_a_run_and_names_it
            a_post_over_http_starts_a_run_with_its_headers
            a_payload_that_does_not_fit_starts_no_run
            a_delivery_over_http_is_no_start_on_an_embedded_engine
            without_an_engine_the_answer_says_so
        );
        $crate::conformance!($harness; deliveries:
            extractors_see_the_runs_headers_on_every_delivery
            every_delivery_passes_the_apps_middleware
            many_runs_go_on_at_once
            a_cancelled_run_is_stopped_where_it_waits
        );
        $crate::conformance!($harness; signatures:
            the_engines_own_deliveries_are_accepted
            signatures_cover_the_bytes_of_the_body
            a_body_that_is_no_text_is_answered
            what_is_not_signed_is_refused
        );
        $crate::conformance!($harness; answers:
            a_delivery_that_was_handled
            a_failed_step
            a_failure_that_is_never_retried
            a_failure_that_says_when_to_retry
            what_the_endpoint_cannot_do_anything_with
            a_failure_without_a_failure_function
        );
        $crate::conformance!($harness; limits:
            large_payloads_start_runs
            large_deliveries_are_taken
            a_body_that_says_it_is_too_large_is_not_read
            a_body_that_turns_out_too_large_is_refused
        );
        $crate::conformance!($harness; rejections:
            a_rejected_start_keeps_the_extractors_answer
            a_rejected_delivery_in_process_is_a_failed_attempt
            a_rejected_delivery_over_http_is_a_failed_attempt
        );
        $crate::conformance!($harness; panics:
            a_workflow_that_panics_is_tried_again
            an_extractor_that_panics_in_process_is_a_failed_attempt
            an_extractor_that_panics_over_http_is_a_failed_attempt
            a_start_whose_extractor_panics_starts_no_run
        );
        $crate::conformance!($harness; webhooks:
            a_webhook_is_called_by_any_method
            a_webhook_that_is_none_is_answered_with_404
        );
        $crate::conformance!($harness; shutdown:
            an_open_request_is_answered
            a_step_that_runs_ends_and_is_recorded
            an_interrupted_step_runs_again_at_the_next_start
        );
    };
    ($harness:ty; $topic:ident: $($case:ident)*) => {
        mod $topic {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::adapters::$topic::$case::<$harness>().await;
                }
            )*
        }
    };
}
