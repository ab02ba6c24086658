//! Histories of runs, to be checked in tests.

use http::{HeaderMap, HeaderName, HeaderValue};
use workflow::testing::History;

use crate::{
    engine::Engine,
    error::EngineError,
    store::{Entry, Run, StoreError, payload_and_steps},
};

impl Engine {
    /// What the newest run of this id has recorded, whether it has ended or not, for [`workflow::testing::replay`]. The
    /// payload is in it, also where listings hide it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for an unknown run.
    pub async fn export(&self, run_id: &str) -> Result<History, EngineError> {
        let id = run_id.to_owned();
        let recorded = self
            .inner
            .readers
            .read(move |reader| match reader.run_by_id(&id)? {
                Some(run) => {
                    let entries = reader.history(run.key, i64::MAX)?;
                    Ok(Some((run, entries)))
                }
                None => Ok(None),
            })
            .await?;
        match recorded {
            Some((run, entries)) => Ok(history(run, entries)?),
            None => Err(EngineError::NotFound(format!("there is no run `{run_id}`"))),
        }
    }
}

fn history(run: Run, entries: Vec<Entry>) -> Result<History, StoreError> {
    let (payload, steps) = payload_and_steps(entries)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &run.config.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    Ok(History::new(payload, steps).with_run(run.into_info()).with_headers(headers))
}
