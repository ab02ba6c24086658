//! Workflows are routes like others.

use super::{Echo, Harness, Site, site::run_id};

/// Other methods are answered as the framework does, and other routes are as they were.
pub async fn only_a_post_reaches_a_workflow<H: Harness>() {
    let site = Site::<H>::embedded().await;
    for path in ["/echo", "/nested/deep/echo"] {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let answer = site.send(method, path, &[], "\"you\"").await;
            assert!(matches!(answer.status.as_u16(), 404 | 405), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(site.send("POST", "/elsewhere", &[], "\"you\"").await.status, 404);
    let hello = site.send("GET", "/hello", &[], "").await;
    assert_eq!((hello.status.as_u16(), &hello.body[..]), (200, &b"hello"[..]));
    assert_eq!(site.runs().await, []);
}

/// Nesting shortens no path, and a query stays with it.
pub async fn a_nested_workflow_knows_its_whole_path<H: Harness>() {
    let site = Site::<H>::embedded().await;
    for path in ["/echo", "/nested/deep/echo", "/echo?from=here"] {
        let run = run_id(&site.send("POST", path, &[], "\"you\"").await);
        let echo: Echo = site.output(&run).await;
        assert_eq!(echo.url, path);
        assert_eq!(echo.begin, "you");
    }
}
