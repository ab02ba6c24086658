//! Calls, children, webhooks, cancellation and time limits, on engines that continue and on engines that suspend.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::{sync::Arc, time::Duration};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::Recorder;
use workflow::{FlowControl, InvokeResult, WaitResult, WorkflowContext, engine::Mode, workflow};

async fn run<W: workflow::Workflow<Args = ()>>(mode: Mode, payload: &str) -> Arc<Recorder> {
    let engine = Recorder::new(mode);
    match mode {
        Mode::Continue => assert_eq!(engine.deliver::<W>(payload).await.status(), 200),
        Mode::Suspend => engine.deliver_each::<W>(payload).await,
    }
    engine
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    called: String,
}

#[workflow]
async fn calls(ctx: WorkflowContext<()>) -> workflow::Result<(u16, Receipt, Receipt)> {
    let page = ctx.call("get page", "http://third.test/page?a=b").await?;
    let limits = FlowControl::key("third").parallelism(1);
    let order = ctx
        .call("order", "http://third.test/orders")
        .json(&json!({ "id": 7 }))
        .header("x-key", "secret")
        .timeout(Duration::from_secs(30))
        .retries(2)
        .retry_delay("1000")
        .flow_control(limits)
        .await?;
    assert!(order.is_success());
    assert_eq!(order.header("CONTENT-TYPE"), Some("application/json"));
    Ok((page.status(), page.json()?, order.json()?))
}

#[tokio::test]
async fn calls_are_made_by_the_engine_and_their_answers_are_results() {
    for mode in [Mode::Continue, Mode::Suspend] {
        let engine = run::<calls>(mode, "").await;
        assert_eq!(
            engine.reports(),
            [
                "call 1 get page GET http://third.test/page?a=b park",
                "call 2 order POST http://third.test/orders park",
                r#"complete [201,{"called":"GET http://third.test/page?a=b"},{"called":"POST http://third.test/orders"}]"#,
            ],
            "{mode:?}"
        );
    }
}

#[workflow]
async fn calls_badly(ctx: WorkflowContext<String>) -> workflow::Result<()> {
    let call = match ctx.request_payload().as_str() {
        "url" => ctx.call("bad", "/no/host"),
        "header" => ctx.call("bad", "http://third.test").header("a b", "c"),
        "limits" => ctx.call("bad", "http://third.test").flow_control(FlowControl::key("k")),
        _ => ctx.call("bad", "http://third.test").json(&std::collections::HashMap::from([(vec![1], 2)])),
    };
    call.await?;
    Ok(())
}

#[tokio::test]
async fn a_call_that_cannot_be_made_fails_for_good_before_anything_is_sent() {
    for (mistake, part) in
        [("url", "`/no/host`"), ("header", "`a b`"), ("limits", "limits nothing"), ("body", "JSON")]
    {
        let engine = Recorder::new(Mode::Continue);
        engine.deliver::<calls_badly>(mistake).await;
        let failure = engine.failure().unwrap();
        assert_eq!(failure.retry, workflow::engine::Retry::Never);
        assert!(failure.message.contains(part), "{}", failure.message);
        assert!(failure.message.contains("`bad`") || mistake == "limits", "{}", failure.message);
    }
}

#[workflow]
async fn asks_services(ctx: WorkflowContext<()>) -> workflow::Result<()> {
    ctx.api().openai("key").base_url("http://other.test/").chat_completion("ask", &json!({})).await?;
    ctx.api().anthropic("key").message("ask again", &json!({})).await?;
    ctx.api().resend("key").email("send", &json!({})).method(Method::PUT).await?;
    ctx.api().resend("key").emails("send all", &json!([])).await?;
    Ok(())
}

#[tokio::test]
async fn services_are_called_at_their_addresses() {
    let engine = run::<asks_services>(Mode::Continue, "").await;
    assert_eq!(
        engine.reports(),
        [
            "call 1 ask POST http://other.test/v1/chat/completions park",
            "call 2 ask again POST https://api.anthropic.com/v1/messages park",
            "call 3 send PUT https://api.resend.com/emails park",
            "call 4 send all POST https://api.resend.com/emails/batch park",
            "complete -",
        ]
    );
}

#[workflow]
async fn charge_card(ctx: WorkflowContext<u64>) -> workflow::Result<Value> {
    ctx.run("charge", async || Ok(json!(1))).await
}

#[workflow]
async fn invokes(ctx: WorkflowContext<()>) -> workflow::Result<Value> {
    let InvokeResult::Completed(child) = ctx.invoke::<charge_card>("charge", &7).retries(1).await? else {
        return Err(workflow::Error::non_retryable("not completed"));
    };
    let elsewhere = ctx.invoke::<charge_card>("elsewhere", &7).at("/other/charge").await?;
    let other = ctx.invoke_url::<Value>("other", "http://other.test/w", &json!([1])).await?;
    Ok(json!([child, elsewhere.completed(), other.completed()]))
}

#[tokio::test]
async fn children_are_found_beside_their_parent_or_where_they_are_said_to_be() {
    for mode in [Mode::Continue, Mode::Suspend] {
        let engine = run::<invokes>(mode, "").await;
        assert_eq!(
            engine.reports(),
            [
                "invoke 1 charge /charge-card park",
                "invoke 2 elsewhere /other/charge park",
                "invoke 3 other http://other.test/w park",
                r#"complete [{"child":"/charge-card"},{"child":"/other/charge"},{"child":"http://other.test/w"}]"#,
            ],
            "{mode:?}"
        );
    }
}

#[workflow]
async fn waits_for_webhook(ctx: WorkflowContext<()>) -> workflow::Result<String> {
    let webhook = ctx.create_webhook("make hook").await?;
    match ctx.wait_for_webhook("wait", &webhook, Duration::from_secs(60)).await? {
        WaitResult::Received(request) => Ok(request.url().to_owned()),
        WaitResult::TimedOut => Ok(format!("nobody called {}", webhook.webhook_url)),
    }
}

#[tokio::test]
async fn a_webhook_is_made_once_and_waited_for() {
    let engine = run::<waits_for_webhook>(Mode::Suspend, "").await;
    assert_eq!(
        engine.reports(),
        [
            "webhook 1 make hook",
            "wait 2 wait for evt_1 park",
            r#"complete "nobody called http://engine.test/hook/evt_1""#,
        ]
    );
    let engine = run::<waits_for_webhook>(Mode::Continue, "").await;
    assert_eq!(engine.reports(), ["webhook 1 make hook", "wait 2 wait for evt_1 park"]);
}

#[workflow]
async fn does_all_at_once(ctx: WorkflowContext<()>) -> workflow::Result<u16> {
    let (called, invoked, hook, ran) = tokio::join!(
        ctx.call("call", "http://third.test/a"),
        ctx.invoke_url::<Value>("invoke", "/b", &()),
        ctx.create_webhook("hook"),
        ctx.run("run", async || Ok(3)),
    );
    let _ = (invoked?.completed(), hook?.event_id);
    Ok(called?.status() + ran?)
}

#[tokio::test]
async fn steps_of_all_kinds_run_side_by_side() {
    let engine = run::<does_all_at_once>(Mode::Continue, "").await;
    let mut reports = engine.reports();
    assert_eq!(reports.pop().as_deref(), Some("complete 204"));
    reports.sort();
    assert_eq!(
        reports,
        ["append 4 run 3", "call 1 call GET http://third.test/a", "invoke 2 invoke /b", "webhook 3 hook"]
    );
    let engine = run::<does_all_at_once>(Mode::Suspend, "").await;
    assert_eq!(engine.reports().first().unwrap(), "plan 1 call, 2 invoke, 3 hook, 4 run");
    assert_eq!(engine.reports().last().unwrap(), "complete 204");
}

#[workflow]
async fn cancels_itself(ctx: WorkflowContext<u32>) -> workflow::Result<u32> {
    let wanted = ctx.run("ask", async || Ok(*ctx.request_payload())).await?;
    if wanted == 0 {
        return ctx.cancel().await;
    }
    Ok(wanted)
}

#[tokio::test]
async fn a_workflow_cancels_its_own_run() {
    for mode in [Mode::Continue, Mode::Suspend] {
        let engine = run::<cancels_itself>(mode, "0").await;
        assert_eq!(engine.reports(), ["append 1 ask 0", "cancel"]);
        assert_eq!(engine.output(), None);
    }
}

#[workflow(retries = 0)]
async fn hangs(ctx: WorkflowContext<()>) -> workflow::Result<()> {
    let step = ctx.step("hang").timeout(Duration::from_millis(1));
    step.run(async || std::future::pending::<workflow::Result<()>>().await).await
}

#[tokio::test]
async fn a_step_that_takes_longer_than_its_timeout_has_failed() {
    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<hangs>("").await;
    let failure = engine.failure().unwrap();
    assert_eq!(failure.step_name.as_deref(), Some("hang"));
    assert_eq!(failure.retry, workflow::engine::Retry::Backoff);
    assert!(failure.message.contains("its timeout of 1ms"), "{}", failure.message);
}
