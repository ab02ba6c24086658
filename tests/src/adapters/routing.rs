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

/// The last segment of the path is the name of the workflow, and nothing else is a workflow there.
pub async fn workflows_that_share_a_route_are_told_apart_by_their_names<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let run = run_id(&site.send("POST", "/many/echo?from=here", &[], "\"you\"").await);
    let echo: Echo = site.output(&run).await;
    assert_eq!((echo.url.as_str(), echo.begin.as_str()), ("/many/echo?from=here", "you"));

    let run = run_id(&site.send("POST", "/many/play", &[("x-caller", "ada")], "\"Greet\"").await);
    assert_eq!(site.output::<String>(&run).await, "hello ada");

    let answer = site.send("POST", "/many/ech", &[], "\"you\"").await;
    assert_eq!(answer.status, 404);
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(body.contains("`ech`") && body.contains("echo, play"), "{body}");
    assert_eq!(site.runs().await.len(), 2);
}
