//! Requests and answers between `http` 0.2, which actix-web is on, and `http` 1: by value.

use std::sync::Arc;

use actix_http::{Message, Payload, Request, RequestHead};
use actix_web::{
    HttpMessage, HttpResponse,
    http::{Method, StatusCode, Uri, header},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use workflow::{endpoint, engine::Delivery};

/// The headers of a request, for the core.
pub(crate) fn headers(headers: &header::HeaderMap) -> HeaderMap {
    let translated = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    translated.collect()
}

/// The URL that the caller used, as far as it can be known: the path alone where no host is named.
pub(crate) fn url(uri: &Uri, headers: &HeaderMap, secure: bool) -> String {
    if uri.authority().is_some() {
        return uri.to_string();
    }
    endpoint::url(uri.path_and_query().map_or("/", |path| path.as_str()), headers, secure)
}

/// A request of the engine, for the app.
///
/// # Errors
///
/// Why actix-web does not take it.
pub(crate) fn to_app(request: http::Request<Bytes>) -> Result<Request, String> {
    let (mut parts, body) = request.into_parts();
    let mut head = Message::<RequestHead>::new();
    head.method = Method::from_bytes(parts.method.as_str().as_bytes()).map_err(|error| error.to_string())?;
    head.uri = Uri::try_from(parts.uri.to_string()).map_err(|error| format!("`{}`: {error}", parts.uri))?;
    for (name, value) in &parts.headers {
        let name = header::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, header::HeaderValue::from_bytes(value.as_bytes())) {
            head.headers.append(name, value);
        }
    }
    let (request, _) = Request::from(head).replace_payload(Payload::from(body));
    if let Some(delivery) = parts.extensions.remove::<Arc<Delivery>>() {
        request.extensions_mut().insert(delivery);
    }
    Ok(request)
}

/// The core's answer, for the client.
pub(crate) fn to_actix(answer: http::Response<Bytes>) -> HttpResponse {
    let (parts, body) = answer.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    answer.body(body)
}

/// The app's answer without its body, for the engine.
pub(crate) fn to_engine(answer: &HttpResponse<()>) -> http::Response<()> {
    let status = http::StatusCode::from_u16(answer.status().as_u16());
    let mut translated = http::Response::new(());
    *translated.status_mut() = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    *translated.headers_mut() = headers(answer.headers());
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(uri: &str, headers: &[(&'static str, &'static str)], secure: bool) -> String {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        url(&uri.parse().unwrap(), &headers.collect(), secure)
    }

    #[test]
    fn the_url_is_the_one_that_the_caller_used() {
        let host = ("host", "shop.example:8080");
        assert_eq!(url_of("/api/order?a=b", &[host], false), "http://shop.example:8080/api/order?a=b");
        assert_eq!(url_of("/", &[host], true), "https://shop.example:8080/");
        for proto in ["https", "HTTPS", "https, http"] {
            assert_eq!(
                url_of("/", &[host, ("x-forwarded-proto", proto)], false),
                "https://shop.example:8080/"
            );
        }
        for proto in ["http", "http,https", "gopher"] {
            assert_eq!(url_of("/", &[host, ("x-forwarded-proto", proto)], true), "http://shop.example:8080/");
        }
        assert_eq!(url_of("https://other.example/api", &[host], false), "https://other.example/api");
    }

    #[test]
    fn without_a_host_there_is_only_the_path() {
        assert_eq!(url_of("/api/order?a=b", &[("x-forwarded-proto", "https")], false), "/api/order?a=b");
    }

    #[test]
    fn headers_keep_all_their_values_and_bytes() {
        let mut sent = header::HeaderMap::new();
        for value in [&b"one"[..], b"two", b"\xffthree"] {
            sent.append("x-thing".parse().unwrap(), header::HeaderValue::from_bytes(value).unwrap());
        }
        let headers = headers(&sent);
        let values: Vec<_> = headers.get_all("x-thing").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"one"[..], b"two", b"\xffthree"]);
    }

    #[test]
    fn an_answer_keeps_its_status_headers_and_body() {
        let mut answer = http::Response::new(Bytes::from_static(b"no"));
        *answer.status_mut() = http::StatusCode::from_u16(489).unwrap();
        answer.headers_mut().append("x-thing", HeaderValue::from_static("one"));
        answer.headers_mut().append("x-thing", HeaderValue::from_static("two"));
        let (translated, _) = to_actix(answer).into_parts();
        assert_eq!(translated.status().as_u16(), 489);
        let back = to_engine(&translated);
        assert_eq!(back.status().as_u16(), 489);
        assert_eq!(back.headers().get_all("x-thing").iter().collect::<Vec<_>>(), ["one", "two"]);
    }
}
