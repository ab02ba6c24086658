//! What has become of runs, asked of a client.

use serde_json::Value;
use workflow::{Client, client::RunLog};

use crate::eventually;

/// Something whose runs a client knows.
#[expect(async_fn_in_trait, reason = "tests await what they call")]
pub trait Runs {
    /// The client.
    fn client(&self) -> &Client;

    /// The newest run of this id.
    async fn log(&self, run: &str) -> RunLog {
        self.client().run(run).await.unwrap().unwrap_or_else(|| panic!("there is no run `{run}`"))
    }

    /// Waits until a run has ended.
    async fn ended(&self, run: &str) -> RunLog {
        eventually(format!("the run `{run}` ends"), async || {
            self.client().run(run).await.unwrap().filter(RunLog::is_ended)
        })
        .await
    }

    /// Waits until a run has succeeded, and gives what it returned.
    async fn output(&self, run: &str) -> Value {
        self.ended(run).await.response().unwrap().expect("a run that has ended has a response")
    }

    /// Waits until somebody waits for an event.
    async fn waiting(&self, event: &str) {
        eventually(format!("somebody waits for `{event}`"), async || {
            let waiters = self.client().get_waiters(event).await.unwrap();
            (!waiters.is_empty()).then_some(())
        })
        .await
    }
}

impl Runs for Client {
    fn client(&self) -> &Client {
        self
    }
}
