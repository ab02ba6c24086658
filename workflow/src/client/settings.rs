//! What a client is told by its caller and by the environment.

use url::Url;

use super::ClientError;

/// Checks an absolute HTTP URL and takes trailing slashes off.
pub(crate) fn base_url(url: &str, what: &str) -> Result<String, ClientError> {
    let bad = |reason: &str| {
        ClientError::Configuration(format!(
            "{what} is `{url}`, which {reason}; write it like `http://127.0.0.1:8080`"
        ))
    };
    let parsed = Url::parse(url).map_err(|error| bad(&format!("is not a URL ({error})")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(bad("is not an http or https URL"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(bad("has a query or a fragment"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// An environment variable, if it is set and not empty.
pub(crate) fn env(name: &str) -> Result<Option<String>, ClientError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(ClientError::Configuration(format!("the environment variable {name} is not valid UTF-8")))
        }
    }
}

/// The absolute URL of a workflow: `url` itself, or its path and query under `base` where that is known.
pub(crate) fn absolute_url(base: Option<&str>, url: &str) -> Result<String, ClientError> {
    let absolute = Url::parse(url).ok().filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
    match (base, absolute) {
        (Some(base), Some(parsed)) => {
            let query = parsed.query().map(|query| format!("?{query}")).unwrap_or_default();
            Ok(format!("{base}{}{query}", parsed.path()))
        }
        (Some(base), None) if url.starts_with('/') => Ok(format!("{base}{url}")),
        (None, Some(_)) => Ok(url.to_owned()),
        _ => Err(ClientError::Configuration(format!(
            "`{url}` is no absolute URL, and an engine over HTTP needs one that it can reach; give the absolute URL, or set \
             UPSTASH_WORKFLOW_URL to the base of your app, for example http://127.0.0.1:3000"
        ))),
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_replaces_where_a_request_came_in() {
        let base = Some("https://app.example/prefix");
        for (base, url, expected) in [
            (base, "http://10.0.0.1:3000/api/order?x=%2F", "https://app.example/prefix/api/order?x=%2F"),
            (base, "/api/order?x=1", "https://app.example/prefix/api/order?x=1"),
            (None, "http://app.test/run", "http://app.test/run"),
        ] {
            assert_eq!(absolute_url(base, url).unwrap(), expected);
        }
    }

    #[test]
    fn a_path_without_a_base_url_is_refused_with_what_to_do() {
        for url in ["/api/order", "api/order", "", "mailto:a@b"] {
            let error = absolute_url(None, url).unwrap_err().to_string();
            assert!(error.contains("UPSTASH_WORKFLOW_URL"), "{error}");
        }
    }
}
