//! Where workflows are reached, so that a trigger names the workflow and not its URL.

use std::{
    any::{TypeId, type_name},
    collections::HashMap,
};

use super::ClientError;
use crate::Workflow;

/// Where a client's workflows are.
#[derive(Clone, Default)]
pub(crate) struct Locations {
    /// Without a trailing slash.
    prefix: Option<String>,
    own: HashMap<TypeId, String>,
}

impl Locations {
    pub(crate) fn set_prefix(&mut self, prefix: &str) {
        self.prefix = Some(prefix.trim_end_matches('/').to_owned());
    }

    pub(crate) fn set<W: Workflow>(&mut self, url: String) {
        self.own.insert(TypeId::of::<W>(), url);
    }

    /// The URL of a workflow: its own, or its name under the prefix.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] with the lines that would tell it.
    pub(crate) fn url_of<W: Workflow>(&self) -> Result<String, ClientError> {
        match (self.own.get(&TypeId::of::<W>()), &self.prefix) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(prefix)) => Ok(format!("{prefix}/{}", segment_of::<W>())),
            (None, None) => Err(ClientError::Configuration(format!(
                "this client does not know where the workflow `{name}` is mounted; tell it where the client is made: \
                 `client.workflow_at::<{name}>(\"/api/{segment}\")` for this workflow alone, or \
                 `client.workflows_at(\"/api\")` for all that are mounted under their names",
                name = rust_name::<W>(),
                segment = segment_of::<W>(),
            ))),
        }
    }
}

impl Locations {
    /// The URL of a workflow for another one whose URL is `own`: where it was told to be or, else, beside that one.
    pub(crate) fn url_beside<W: Workflow>(&self, own: &str) -> String {
        self.url_of::<W>().unwrap_or_else(|_| {
            let path = own.split(['?', '#']).next().unwrap_or(own);
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{}", segment_of::<W>())
        })
    }

    /// A URL as a workflow at `own` means it: a path is one of the same app.
    pub(crate) fn absolute(own: &str, url: &str) -> String {
        if !url.starts_with('/') {
            return url.to_owned();
        }
        match url::Url::parse(own).and_then(|own| own.join(url)) {
            Ok(absolute) => absolute.to_string(),
            Err(_) => url.to_owned(),
        }
    }
}

/// The name of the function, which the workflow's own name may differ from.
fn rust_name<W: Workflow>() -> &'static str {
    let path = type_name::<W>();
    path.rsplit("::").next().unwrap_or(path)
}

/// The workflow's name as paths have it: with dashes.
pub(crate) fn segment_of<W: Workflow>() -> String {
    W::NAME.replace('_', "-")
}
