//! Steps that ask the engine to do something: calls, children and webhooks.

use serde_json::{Value, json};
use workflow::{
    client::{RunState, StepLog, http_client_builder},
    protocol::StepType,
};
use workflow_tests::{ELSEWHERE, Runs, ThirdParty};

use crate::Dev;

/// The steps of a run of this type.
async fn steps(dev: &Dev, run: &str, kind: StepType) -> Vec<StepLog> {
    let steps = dev.log(run).await.steps.into_iter().flat_map(|group| group.steps);
    steps.filter(|step| step.step_type == Some(kind)).collect()
}

#[tokio::test]
async fn a_call_is_made_by_the_engine_and_its_answer_the_result() {
    let dev = dev_or_skip!();
    let third = ThirdParty::start().await;
    let url = third.url("/echo?x=1");
    let body = json!({ "a": ["é", 1] });
    let call = json!({ "url": url, "method": "POST", "body": body, "headers": { "X-Key": "k" } });
    let trigger = dev.client.trigger_url(format!("{}/call", dev.url), &call).header("X-User", "of the run");
    let run = trigger.await.unwrap().workflow_run_id;
    let expected = json!({ "status": 201, "type": ["application/json"], "body": body });
    assert_eq!(dev.output(&run).await, expected);

    let requests = third.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((request.method.as_str(), header("content-type")), ("POST", Some("application/json")));
    assert_eq!(request.headers.get_all("content-type").iter().count(), 1);
    assert_eq!((header("x-key"), header("x-user")), (Some("k"), None));
    assert!(header("upstash-signature").is_some() && header("upstash-workflow-runid").is_none());
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), body);

    let logs = steps(&dev, &run, StepType::Call).await;
    let [log] = logs.as_slice() else { panic!("{logs:?}") };
    assert_eq!((log.call_url.as_deref(), log.call_response_status), (Some(url.as_str()), Some(201)));
}

#[tokio::test]
async fn every_answer_is_a_result() {
    let dev = dev_or_skip!();
    let third = ThirdParty::start().await;
    for status in [204, 404, 500] {
        let run = dev.trigger("/call", json!({ "url": third.url(&format!("/status/{status}")) })).await;
        assert_eq!(dev.output(&run).await["status"], status);
    }
    let run = dev.trigger("/call", json!({ "url": ELSEWHERE })).await;
    let answer = dev.output(&run).await;
    assert_eq!((&answer["status"], &answer["body"]["error"]), (&json!(502), &json!("no answer")));
    let run = dev.trigger("/call", json!({ "url": third.url("/hold"), "timeout": 1 })).await;
    let answer = dev.output(&run).await;
    assert_eq!((&answer["status"], &answer["body"]["error"]), (&json!(504), &json!("no answer in time")));
}

#[tokio::test]
async fn a_call_is_repeated_and_its_endpoint_told_once() {
    let dev = dev_or_skip!();
    let third = ThirdParty::start().await;
    for (path, status) in [("/flaky/2", 200), ("/flaky/9", 503)] {
        let call = json!({ "url": third.url(path), "retries": 2, "retryDelay": "1" });
        let run = dev.trigger("/call", call).await;
        assert_eq!(dev.output(&run).await["status"], status);
        assert_eq!(third.probe.count(&path[1..]), 3);
    }
}

#[tokio::test]
async fn calls_are_made_side_by_side() {
    let dev = dev_or_skip!();
    let third = ThirdParty::start().await;
    let urls = ["/status/201", "/hold", "/status/404"].map(|path| third.url(path));
    let run = dev.trigger("/calls", json!({ "urls": urls })).await;
    third.probe.reached("hold", 1).await;
    third.probe.reached("status/404", 1).await;
    third.probe.open("hold");
    assert_eq!(dev.output(&run).await, json!([201, 200, 404, "beside"]));
    assert_eq!(third.requests().len(), 3);
}

async fn call_webhook(url: &str, method: &str, n: usize) -> u16 {
    let http = http_client_builder().unwrap().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("{url}?q=%20{n}")).header("X-N", n);
    request.body(format!("body {n}")).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_webhook_is_called_while_it_is_waited_for_and_before() {
    let dev = dev_or_skip!();
    for early in [true, false] {
        let script = json!({ "timeout": "1h", "early": early, "times": 3 });
        let run = dev.trigger("/webhook", script).await;
        let url = dev.endpoint.line().await;
        if early {
            dev.waiting("gate").await;
        }
        for (n, method) in ["POST", "PUT", "GET"].into_iter().enumerate() {
            if !early {
                dev.waiting(url.rsplit('/').next().unwrap()).await;
            }
            assert_eq!(call_webhook(&url, method, n).await, 200);
        }
        if early {
            dev.client.notify("gate", &()).await.unwrap();
        }
        let got = |n: usize, method: &str, body: &str| json!({ "url": format!("{url}?q=%20{n}"), "method": method, "n": n.to_string(), "body": body });
        let expected = json!([got(0, "POST", "body 0"), got(1, "PUT", "body 1"), got(2, "GET", "")]);
        assert_eq!(dev.output(&run).await, expected);
        assert_eq!(call_webhook(&url, "POST", 9).await, 404, "the run has ended");
    }
}

#[tokio::test]
async fn a_wait_for_a_webhook_ends_by_its_timeout() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/webhook", json!({ "timeout": "1s", "times": 1 })).await;
    let url = dev.endpoint.line().await;
    assert_eq!(call_webhook(&format!("{url}x"), "POST", 0).await, 404);
    assert_eq!(dev.output(&run).await, json!(["timeout"]));
}

#[tokio::test]
async fn webhooks_and_calls_in_groups() {
    let dev = dev_or_skip!();
    let third = ThirdParty::start().await;
    let run = dev.trigger("/together", json!(third.url("/echo"))).await;
    let url = dev.endpoint.line().await;
    assert_eq!(call_webhook(&url, "PATCH", 0).await, 200);
    let expected = json!({ "one": "PATCH", "status": 201, "two": true, "ran": "ran" });
    assert_eq!(dev.output(&run).await, expected);
}

#[tokio::test]
async fn a_child_is_invoked_and_its_end_the_result() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/many/parent", json!([{ "fate": "return", "id": "c" }])).await;
    let output = json!({ "payload": { "fate": "return" }, "header": "0", "label": "small" });
    let expected = json!([{ "body": output, "isCanceled": false, "isFailed": false }]);
    assert_eq!(dev.output(&run).await, expected);

    let child = dev.log("wfr_c").await;
    let invoker = child.invoker.unwrap();
    assert_eq!((&invoker.workflow_run_id, invoker.workflow_url), (&run, format!("{}/many/parent", dev.url)));
    let logs = steps(&dev, &run, StepType::Invoke).await;
    assert_eq!(logs[0].invoked_workflow_run_id.as_deref(), Some("wfr_c"));
}

#[tokio::test]
async fn children_side_by_side_end_in_every_way() {
    let dev = dev_or_skip!();
    let children = json!([
        { "fate": "wait", "event": "go" },
        { "fate": "fail" },
        { "fate": "cancel" },
        { "fate": "nothing" },
    ]);
    let run = dev.trigger("/many/parent", children).await;
    dev.waiting("go").await;
    dev.client.notify("go", &[1]).await.unwrap();
    let expected = json!([
        { "body": [1], "isCanceled": false, "isFailed": false },
        { "isCanceled": false, "isFailed": true },
        { "isCanceled": true, "isFailed": false },
        { "isCanceled": false, "isFailed": false },
    ]);
    assert_eq!(dev.output(&run).await, expected);
    for _ in 0..4 {
        assert_eq!(dev.endpoint.line().await, "child");
    }
}

#[tokio::test]
async fn an_active_run_is_waited_for_instead_of_started() {
    let dev = dev_or_skip!();
    let child = json!({ "fate": "wait", "event": "go" });
    let url = format!("{}/many/child", dev.url);
    dev.client.trigger_url(url, &child).run_id("c").await.unwrap();
    dev.waiting("go").await;
    let run = dev.trigger("/many/parent", json!([{ "fate": "return", "id": "c" }])).await;
    workflow_tests::eventually("the parent waits", async || {
        steps(&dev, &run, StepType::Invoke)
            .await
            .iter()
            .any(|s| s.invoked_workflow_run_id.is_some())
            .then_some(())
    })
    .await;
    dev.client.notify("go", "told").await.unwrap();
    assert_eq!(dev.output(&run).await[0]["body"], "told");
    assert_eq!(dev.endpoint.line().await, "child");
}

#[tokio::test]
async fn invocations_end_at_a_depth_of_a_hundred() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/many/nested", json!(0)).await;
    assert_eq!(dev.output(&run).await, json!(100));
    assert_eq!(dev.log(&run).await.workflow_state, RunState::RunSuccess);
}
