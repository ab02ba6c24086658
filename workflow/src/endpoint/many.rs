//! Several workflows at one route.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::rejected;
use crate::{Workflow, client::segment_of};

/// For adapters: whether `path` names the workflow `W`: its last segment is the workflow's name, as it is or with dashes
/// instead of underscores.
pub fn is_at<W: Workflow>(path: &str) -> bool {
    let name = last_segment(path);
    name == W::NAME || name == segment_of::<W>()
}

/// For adapters: the answer where a path names none of the workflows `names` that are mounted there.
pub fn unknown_workflow(path: &str, names: &[&str]) -> Response<Bytes> {
    rejected(
        StatusCode::NOT_FOUND,
        &format!(
            "no workflow is called `{}` here; there are: {}. The last segment of the path is the name of the workflow",
            last_segment(path),
            names.join(", ")
        ),
    )
}

fn last_segment(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WorkflowContext, workflow};

    #[workflow(crate = crate)]
    async fn process_order(_ctx: WorkflowContext<()>) -> crate::Result<()> {
        Ok(())
    }

    #[test]
    fn a_workflow_is_named_by_the_last_segment() {
        for path in ["/process-order", "/api/process_order", "/api/process-order/?a=/b", "process-order"] {
            assert!(is_at::<process_order>(path), "{path}");
        }
        for path in ["/", "", "/process-order/x", "/order", "/x?a=/process-order"] {
            assert!(!is_at::<process_order>(path), "{path}");
        }
    }
}
