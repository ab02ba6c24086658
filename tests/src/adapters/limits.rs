//! Bodies may be as large as a delivery can be, and no larger.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use workflow::endpoint::MAX_BODY_BYTES;

use super::{Echo, Harness, Site, site::run_id};
use crate::PATIENCE;

/// Larger than actix-web takes by default, and larger than axum does.
const LARGE: [usize; 2] = [300 * 1024, 3 * 1024 * 1024];

/// Whatever a framework's own limit is.
pub async fn large_payloads_start_runs<H: Harness>() {
    let site = Site::<H>::embedded().await;
    for size in LARGE {
        let run = run_id(&site.send("POST", "/echo", &[], "x".repeat(size)).await);
        assert_eq!(site.output::<Echo>(&run).await.length, size);
    }
}

/// Each delivery carries the history.
pub async fn large_deliveries_are_taken<H: Harness>() {
    let site = Site::<H>::over_http().await;
    for size in LARGE {
        let run = site.client.trigger_url("/echo", &"x".repeat(size)).await.unwrap().workflow_run_id;
        assert_eq!(site.output::<Echo>(&run).await.length, size);
    }
}

/// Nothing of it is sent here.
pub async fn a_body_that_says_it_is_too_large_is_not_read<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let mut stream = connect(&site).await;
    let head = format!("content-length: {}\r\n\r\n", MAX_BODY_BYTES + 1);
    stream.write_all(head.as_bytes()).await.unwrap();
    is_refused(&mut stream).await;
    assert_eq!(site.runs().await, []);
}

/// Its end is not sent here.
pub async fn a_body_that_turns_out_too_large_is_refused<H: Harness>() {
    const CHUNK: usize = 1024 * 1024;
    let site = Site::<H>::embedded().await;
    let mut stream = connect(&site).await;
    stream.write_all(b"transfer-encoding: chunked\r\n\r\n").await.unwrap();
    let mut left = MAX_BODY_BYTES + 1;
    let chunk = vec![b' '; CHUNK];
    while left > 0 {
        let size = left.min(CHUNK);
        stream.write_all(format!("{size:x}\r\n").as_bytes()).await.unwrap();
        stream.write_all(&chunk[..size]).await.unwrap();
        left -= size;
        if left > 0 {
            stream.write_all(b"\r\n").await.unwrap();
        }
    }
    is_refused(&mut stream).await;
    assert_eq!(site.runs().await, []);
}

/// Begins a request.
async fn connect<H: Harness>(site: &Site<H>) -> TcpStream {
    let address = site.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /echo HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads the answer.
async fn is_refused(stream: &mut TcpStream) {
    let limit = MAX_BODY_BYTES.to_string();
    let mut answer = String::new();
    let mut part = [0; 4096];
    // The answer ends with a JSON object.
    while !answer.ends_with('}') {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await;
        let read = read.expect("an answer within a minute").unwrap();
        assert_ne!(read, 0, "the answer breaks off: {answer}");
        answer.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(body["error"].as_str().unwrap().contains(&limit), "{body}");
}
