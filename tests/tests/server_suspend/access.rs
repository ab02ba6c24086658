//! Who may call whom.

use serde_json::{Value, json};
use workflow::client::{LogQuery, http_client_builder};
use workflow_tests::{Runs, TOKEN};

use crate::Remote;

#[tokio::test]
async fn only_the_engine_is_listened_to_while_signing_keys_are_set() {
    let remote = Remote::start().await;
    let http = http_client_builder().unwrap().build().unwrap();
    let url = format!("{}/text", remote.app.url());

    let direct = http.post(&url).body("hello").send().await.unwrap();
    assert_eq!(direct.status(), 401);
    let told = direct.text().await.unwrap();
    for part in ["Upstash-Signature", &format!("`POST /v2/trigger/{url}`")] {
        assert!(told.contains(part), "{part} in {told}");
    }

    let delivery = http
        .post(&url)
        .header("upstash-workflow-sdk-version", "1")
        .header("upstash-workflow-runid", "wfr_x")
        .header("upstash-signature", "a.b.c")
        .body(r#"[{"messageId":"m","body":"aGVsbG8=","callType":"step"}]"#);
    let delivery = delivery.send().await.unwrap();
    assert_eq!(delivery.status(), 500);
    assert_eq!(remote.client.logs(LogQuery::default()).await.unwrap().runs, []);
}

#[tokio::test]
async fn a_key_that_the_engine_does_not_sign_with_stops_its_deliveries() {
    let remote = Remote::start_with(|engine| engine.signing_keys("other", "another")).await;
    let run = remote.client.trigger_url("/text", &"hello").retries(0).await.unwrap().workflow_run_id;
    let errors = remote.failure(&run).await;
    assert!(errors[0].contains("QSTASH_CURRENT_SIGNING_KEY"), "{errors:?}");
}

#[tokio::test]
async fn deliveries_go_on_after_the_keys_were_exchanged() {
    let remote = Remote::start().await;
    remote.engine.rotate_keys().await.unwrap();
    let run = remote.trigger("/text", &"hello").await;
    assert_eq!(remote.output(&run).await, json!("HELLO"));
}

#[tokio::test]
async fn a_plain_post_starts_a_run_with_its_headers() {
    let remote = Remote::start_with(|engine| engine).await;
    let http = http_client_builder().unwrap().build().unwrap();
    let request = http
        .post(format!("{}/story", remote.app.url()))
        .header("content-type", "application/json")
        .header("x-user", "direct")
        .header("upstash-label", "first,second")
        .body(r#"{"id":4}"#);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["upstash-workflow-sdk-version"], "1");
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["finishCondition"], "success");
    let seen = remote.output(answer["workflowRunId"].as_str().unwrap()).await;
    assert_eq!(seen["header"], "direct");
    assert_eq!(seen["labels"], json!(["first", "second"]));
    assert_eq!(seen["doubled"], 8);
}

#[tokio::test]
async fn a_server_without_an_app_wants_absolute_urls() {
    let remote = Remote::start().await;
    let http = http_client_builder().unwrap().build().unwrap();
    let answer =
        http.post(format!("{}/v2/trigger//text", remote.api.url())).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("absolute URL"));
}
