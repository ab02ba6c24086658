//! Which workflows the app of this process serves.

use url::Url;

use crate::error::EngineError;

/// A workflow URL may have this many bytes.
const MAX_URL: usize = 2048;

/// Tells URLs of this process from others. A run of this process keeps the path alone, so it survives a change of address.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    base: Option<String>,
}

impl Urls {
    /// URLs below `base` (such as `http://127.0.0.1:3000`) are served by the app of this process.
    pub fn new(base: Option<&str>) -> Result<Self, EngineError> {
        let base =
            base.map(|base| checked(base).map(|_| base.trim_end_matches('/').to_owned())).transpose()?;
        Ok(Self { base })
    }

    /// The path of a workflow of this process, or the absolute URL of another one.
    pub fn resolve(&self, url: &str) -> Result<String, EngineError> {
        if url.len() > MAX_URL {
            return Err(EngineError::Invalid(format!("the workflow URL has more than {MAX_URL} bytes")));
        }
        if url.starts_with('/') {
            return match url.parse::<http::Uri>() {
                Ok(_) => Ok(url.to_owned()),
                Err(error) => {
                    Err(EngineError::Invalid(format!("the workflow path `{url}` is no path: {error}")))
                }
            };
        }
        let parsed = checked(url)?;
        Ok(self.local(&parsed).unwrap_or_else(|| url.to_owned()))
    }

    /// The URL to show for a run.
    pub fn public(&self, url: &str) -> String {
        match &self.base {
            Some(base) if url.starts_with('/') => format!("{base}{url}"),
            _ => url.to_owned(),
        }
    }

    /// What a URL in a filter is in the store. A beginning of URLs may be two: those of this process are paths there.
    pub fn filter(&self, url: &str, exact: bool) -> Vec<String> {
        let Some(base) = &self.base else { return vec![url.to_owned()] };
        match url.strip_prefix(base.as_str()) {
            Some(path) if path.starts_with('/') => vec![path.to_owned()],
            _ if !exact && base.starts_with(url) => vec![url.to_owned(), "/".to_owned()],
            _ => vec![url.to_owned()],
        }
    }

    /// Whether the workflows of this process are at this host (`app.example`, or with a port).
    pub fn is_at(&self, host: &str) -> bool {
        self.base.as_deref().is_some_and(|base| has_host(base, host))
    }

    fn local(&self, url: &Url) -> Option<String> {
        let base = Url::parse(self.base.as_deref()?).ok()?;
        if base.origin() != url.origin() {
            return None;
        }
        let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
        if !path.starts_with('/') {
            return None;
        }
        Some(match url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }
}

/// Whether a workflow's URL is at this host, which may be given with its port. A path of this process is at the host that has no
/// name.
pub fn has_host(url: &str, host: &str) -> bool {
    match Url::parse(url) {
        Ok(url) => url.host_str().is_some_and(|name| match url.port() {
            Some(port) => host == name || host == format!("{name}:{port}"),
            None => host == name,
        }),
        Err(_) => host.is_empty(),
    }
}

/// The path of a workflow's URL.
pub fn path_of(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => url.path().to_owned(),
        Err(_) => url.split('?').next().unwrap_or(url).to_owned(),
    }
}

fn checked(url: &str) -> Result<Url, EngineError> {
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(parsed),
        Ok(_) => Err(EngineError::Invalid(format!(
            "`{url}` is not the URL of a workflow: it must begin with http:// or https://"
        ))),
        Err(error) => Err(EngineError::Invalid(format!(
            "`{url}` is not the URL of a workflow ({error}): give an absolute one, or a path of the attached app such as \
             `/api/orders`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_below_the_base_are_paths_of_this_process() {
        let urls = Urls::new(Some("http://127.0.0.1:3000/")).unwrap();
        assert_eq!(urls.resolve("http://127.0.0.1:3000/api/order?x=1").unwrap(), "/api/order?x=1");
        assert_eq!(urls.resolve("/api/order").unwrap(), "/api/order");
        assert_eq!(urls.resolve("http://127.0.0.1:3001/api").unwrap(), "http://127.0.0.1:3001/api");
        assert_eq!(urls.public("/api/order"), "http://127.0.0.1:3000/api/order");
        assert_eq!(urls.filter("http://127.0.0.1:3000/api", true), ["/api"]);
        assert_eq!(urls.filter("http://127.0.0.1:30001/api", false), ["http://127.0.0.1:30001/api"]);
        for beginning in ["http://127.0.0.1:3000", "http://127.0.0.1:3", "http"] {
            assert_eq!(urls.filter(beginning, false), [beginning, "/"]);
            assert_eq!(urls.filter(beginning, true), [beginning]);
        }
    }

    #[test]
    fn hosts_and_paths_are_told_apart() {
        for (url, host) in [("http://a.b:3000/x", "a.b"), ("http://a.b:3000/x", "a.b:3000"), ("/x", "")] {
            assert!(has_host(url, host), "{url} {host}");
        }
        for (url, host) in
            [("http://a.b:3000/x", "a.b:300"), ("http://a.b/x", "b"), ("/x", "x"), ("http://a/", "")]
        {
            assert!(!has_host(url, host), "{url} {host}");
        }
        let urls = Urls::new(Some("http://127.0.0.1:3000")).unwrap();
        assert!(urls.is_at("127.0.0.1") && urls.is_at("127.0.0.1:3000") && !urls.is_at("127.0.0.1:3001"));
        assert!(!Urls::default().is_at(""));
        for (url, path) in [("http://a/b/c?d", "/b/c"), ("/b/c?d", "/b/c"), ("http://a", "/")] {
            assert_eq!(path_of(url), path);
        }
    }

    #[test]
    fn a_base_may_have_a_path() {
        let urls = Urls::new(Some("https://example.com/app")).unwrap();
        assert_eq!(urls.resolve("https://example.com/app/order").unwrap(), "/order");
        assert_eq!(urls.resolve("https://example.com/apple").unwrap(), "https://example.com/apple");
    }

    #[test]
    fn what_is_no_workflow_url_is_refused() {
        let urls = Urls::default();
        for bad in [
            "",
            "order",
            "ftp://example.com/",
            "http://",
            "mailto:a@b",
            "/a b",
            &format!("/{}", "x".repeat(3000)),
        ] {
            assert_eq!(urls.resolve(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
