//! What a client is told by its caller and by the environment.

use url::Url;

use super::ClientError;

/// The published token of development servers.
pub const DEVELOPMENT_TOKEN: &str =
    "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=";
/// The published current signing key of development servers.
pub const DEVELOPMENT_CURRENT_SIGNING_KEY: &str = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r";
/// The published next signing key of development servers.
pub const DEVELOPMENT_NEXT_SIGNING_KEY: &str = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs";

/// Where the development server listens, if the environment asks for it: `QSTASH_DEV=true`, and `QSTASH_DEV_PORT` unless it is
/// 8080. Its address and credentials come before all others.
pub(crate) fn development_url() -> Result<Option<String>, ClientError> {
    development(env("QSTASH_DEV")?.as_deref(), env("QSTASH_DEV_PORT")?.as_deref())
}

fn development(flag: Option<&str>, port: Option<&str>) -> Result<Option<String>, ClientError> {
    match flag {
        None | Some("false" | "0") => return Ok(None),
        Some("true" | "1") => {}
        Some(other) => {
            return Err(ClientError::Configuration(format!(
                "QSTASH_DEV is `{other}`; set it to `true` to use the development server, or to `false`"
            )));
        }
    }
    let port = port.unwrap_or("8080");
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(format!("http://127.0.0.1:{port}"))),
        _ => Err(ClientError::Configuration(format!("QSTASH_DEV_PORT is `{port}`, which is no port"))),
    }
}

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
    fn the_development_server_is_used_where_the_environment_asks_for_it() {
        let url = |flag, port| development(flag, port).unwrap();
        assert_eq!(url(Some("true"), None).as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(url(Some("1"), Some("9000")).as_deref(), Some("http://127.0.0.1:9000"));
        for off in [None, Some("false"), Some("0")] {
            assert_eq!(url(off, Some("nonsense")), None);
        }
        for (flag, port) in [("yes", None), ("true", Some("0")), ("true", Some("65536")), ("1", Some("x"))] {
            assert!(development(Some(flag), port).is_err(), "{flag} {port:?}");
        }
    }

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
