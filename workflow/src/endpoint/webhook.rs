//! Calls of webhooks that an engine in this process has made.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{Request, engine, rejected};
use crate::engine::EngineKind;

/// Handles a call of a webhook, by whatever method. The last two segments of its path are the run and the webhook.
///
/// It is given to the run that has made the webhook, and answered with 200; with 404 where there is none, or none any more.
pub async fn webhook(method: http::Method, request: Request) -> Response<Bytes> {
    let engine = match engine(request.engine) {
        Ok(engine) => engine,
        Err(message) => return rejected(StatusCode::INTERNAL_SERVER_ERROR, &message),
    };
    let EngineKind::Embedded(embedded) = engine.kind() else {
        return rejected(
            StatusCode::NOT_FOUND,
            "this app runs its workflows on an engine over HTTP, which serves its webhooks itself",
        );
    };
    let path = last_two_segments(&request.url);
    let mut call = http::Request::new(request.body);
    *call.method_mut() = method;
    *call.headers_mut() = request.headers;
    match request.url.parse() {
        Ok(uri) => *call.uri_mut() = uri,
        Err(error) => {
            return rejected(StatusCode::BAD_REQUEST, &format!("`{}` is no URL: {error}", request.url));
        }
    }
    embedded.call_webhook(path, call).await
}

fn last_two_segments(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
    let start = path.rmatch_indices('/').nth(1).map_or(0, |(slash, _)| slash + 1);
    path.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::last_two_segments;

    #[test]
    fn run_and_webhook_are_the_end_of_the_path() {
        for url in
            ["http://a.test/hooks/wfr_1/evt_2?a=/b", "/hooks/wfr_1/evt_2/", "/wfr_1/evt_2", "wfr_1/evt_2"]
        {
            assert_eq!(last_two_segments(url), "wfr_1/evt_2", "{url}");
        }
        assert_eq!(last_two_segments("/a"), "/a");
        assert_eq!(last_two_segments(""), "");
    }
}
