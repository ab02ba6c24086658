//! The workflows of the recordings, written in Rust, at the paths that the TypeScript ones had.

use std::time::{Duration, SystemTime};

use axum::{Router, extract::FromRequestParts, routing::post};
use http::{Method, StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{
    CallResponse, Error, FailedRun, FlowControl, InvokeResult, WaitResult, WorkflowContext, workflow,
};
use workflow_axum::{serve, serve_many};

type Context = WorkflowContext<Value>;

/// All of them.
pub fn router() -> Router {
    Router::new()
        .route("/run", post(serve::<run>()))
        .route("/two-runs", post(serve::<two_runs>()))
        .route("/run-undefined", post(serve::<run_undefined>()))
        .route("/sleep", post(serve::<sleep>()))
        .route("/sleep-until", post(serve::<sleep_until>()))
        .route("/parallel", post(serve::<parallel>()))
        .route("/parallel-fails", post(serve::<parallel_fails>()))
        .route("/parallel-changed", post(serve::<parallel_changed>()))
        .route("/renamed", post(serve::<renamed>()))
        .route("/retyped", post(serve::<retyped>()))
        .route("/nested", post(serve::<nested>()))
        .route("/failing", post(serve::<failing>()))
        .route("/failing-fn", post(serve::<failing_fn>()))
        .route("/non-retryable", post(serve::<non_retryable>()))
        .route("/retry-after", post(serve::<retry_after>()))
        .route("/throw-first", post(serve::<throw_first>()))
        .route("/throw-outside", post(serve::<throw_outside>()))
        .route("/wait-event", post(serve::<wait_event>()))
        .route("/wait-event-default", post(serve::<wait_event_default>()))
        .route("/notify", post(serve::<notify>()))
        .route("/notify-lookback", post(serve::<notify_lookback>()))
        .route("/label", post(serve::<label>()))
        .route("/options", post(serve::<options>()))
        .route("/no-telemetry", post(serve::<no_telemetry>()))
        .route("/lazy", post(serve::<lazy>()))
        .route("/cancel", post(serve::<cancel>()))
        .route("/no-steps", post(serve::<no_steps>()))
        .route("/auth", post(serve::<auth>()))
        .route("/call", post(serve::<call>()))
        .route("/call-get", post(serve::<call_get>()))
        .route("/call-options", post(serve::<call_options>()))
        .route("/webhook", post(serve::<webhook>()))
        .route("/many/{workflow}", post(serve_many::<Many>()))
}

/// What the recorded endpoint served together.
type Many = (caller, child, child_cancels, child_no_return, parent, parent_cancels, parent_no_return);

async fn got(ctx: &Context, step: &str, what: &str) -> workflow::Result<String> {
    ctx.run(step, async || Ok(format!("{what} {}", ctx.request_payload()))).await
}

#[workflow]
async fn run(ctx: Context) -> workflow::Result<Value> {
    Ok(json!({ "result": got(&ctx, "step-1", "got").await? }))
}

#[workflow]
async fn two_runs(ctx: Context) -> workflow::Result<u64> {
    let first = ctx.run("first", async || Ok(json!({ "n": 1, "s": "ü" }))).await?;
    ctx.run("second", async || Ok(first["n"].as_u64().unwrap_or_default() + 1)).await
}

#[workflow]
async fn run_undefined(ctx: Context) -> workflow::Result<()> {
    ctx.run("returns-nothing", async || Ok(())).await
}

#[workflow]
async fn sleep(ctx: Context) -> workflow::Result<&'static str> {
    ctx.sleep("nap", Duration::from_secs(10)).await?;
    ctx.sleep("nap-str", Duration::from_secs(24 * 3600)).await?;
    Ok("done")
}

#[workflow]
async fn sleep_until(ctx: Context) -> workflow::Result<&'static str> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    ctx.sleep_until("until", time).await?;
    ctx.sleep_until("until-iso", time).await?;
    Ok("done")
}

#[workflow]
async fn parallel(ctx: Context) -> workflow::Result<String> {
    let (one, other) =
        tokio::join!(ctx.run("p1", async || Ok("A".to_owned())), ctx.run("p2", async || Ok("B".to_owned())));
    let (one, other) = (one?, other?);
    ctx.run("after", async || Ok(one + &other)).await
}

#[workflow]
async fn parallel_fails(ctx: Context) -> workflow::Result<u32> {
    let (good, bad) = tokio::join!(
        ctx.run("good", async || Ok(1)),
        ctx.run("bad", async || Err::<u32, _>(Error::msg("member failed")))
    );
    Ok(good? + bad?)
}

#[workflow]
async fn parallel_changed(ctx: Context) -> workflow::Result<()> {
    let step = async |name: &str| ctx.run(name, async || Ok(())).await;
    let (one, other, third) = tokio::join!(step("p1"), step("p2"), step("p3"));
    one.and(other).and(third)
}

#[workflow]
async fn renamed(ctx: Context) -> workflow::Result<u32> {
    ctx.run("new-name", async || Ok(1)).await
}

#[workflow]
async fn retyped(ctx: Context) -> workflow::Result<()> {
    ctx.sleep("step", Duration::from_secs(1)).await
}

#[workflow]
async fn nested(ctx: Context) -> workflow::Result<u32> {
    ctx.run("outer", async || inner(&ctx).await).await
}

async fn inner(ctx: &Context) -> workflow::Result<u32> {
    ctx.run("inner", async || Ok(1)).await
}

async fn boom(ctx: &Context) -> workflow::Result<()> {
    ctx.run("boom", async || Err(Error::msg("step exploded"))).await
}

#[workflow]
async fn failing(ctx: Context) -> workflow::Result<()> {
    boom(&ctx).await
}

#[workflow(on_failure = handled)]
async fn failing_fn(ctx: Context) -> workflow::Result<()> {
    boom(&ctx).await
}

async fn handled(failed: FailedRun<Value>) -> workflow::Result<String> {
    Ok(format!("handled {} {} payload={}", failed.status(), failed.message(), failed.request_payload()))
}

#[workflow]
async fn non_retryable(ctx: Context) -> workflow::Result<()> {
    ctx.run("never", async || Err(Error::non_retryable("never retry me"))).await
}

#[workflow]
async fn retry_after(ctx: Context) -> workflow::Result<()> {
    ctx.run("later", async || Err(Error::retry_after("later please", Duration::from_secs(7)))).await
}

#[workflow]
async fn throw_first(_ctx: Context) -> workflow::Result<()> {
    Err(Error::msg("before any step"))
}

#[workflow]
async fn throw_outside(ctx: Context) -> workflow::Result<()> {
    ctx.run("ok", async || Ok(1)).await?;
    Err(Error::msg("between steps"))
}

/// What `waitForEvent` gives.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Waited {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_data: Option<Value>,
    timeout: bool,
}

impl From<WaitResult<Option<Value>>> for Waited {
    fn from(result: WaitResult<Option<Value>>) -> Self {
        match result {
            WaitResult::Received(event_data) => Self { event_data, timeout: false },
            WaitResult::TimedOut => Self { event_data: None, timeout: true },
        }
    }
}

#[workflow]
async fn wait_event(ctx: Context) -> workflow::Result<Waited> {
    Ok(ctx.wait_for_event("wait-it", "evt-1", Duration::from_secs(100)).await?.into())
}

#[workflow]
async fn wait_event_default(ctx: Context) -> workflow::Result<Waited> {
    let week = Duration::from_secs(7 * 24 * 3600);
    Ok(ctx.wait_for_event("wait-it", "evt-default", week).await?.into())
}

#[workflow]
async fn notify(ctx: Context) -> workflow::Result<usize> {
    Ok(ctx.notify("notify-it", "evt-1", &json!({ "some": "data" })).await?.notify_response.len())
}

#[workflow]
async fn notify_lookback(ctx: Context) -> workflow::Result<Value> {
    let told = ctx.notify("notify-it", "evt-1", &json!({ "some": "data" })).run_id("wfr_target").await?;
    let response = &told.notify_response[0];
    Ok(json!({
        "eventId": told.event_id,
        "eventData": { "some": "data" },
        "notifyResponse": {
            "messageId": response.message_id,
            "workflowRunId": response.workflow_run_id,
            "workflowCreatedAt": response.workflow_created_at,
        },
    }))
}

#[workflow]
async fn label(ctx: Context) -> workflow::Result<Value> {
    let labels = ctx.labels();
    ctx.run("lbl", async || Ok(json!({ "label": labels[0], "labels": labels, "retried": ctx.attempt() - 1 })))
        .await
}

#[workflow]
async fn options(ctx: Context) -> workflow::Result<Value> {
    let user = ctx.headers().get("x-user").and_then(|user| user.to_str().ok());
    let created_at = ctx.created_at().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64;
    ctx.run("opt", async || Ok(json!({ "h": user, "retried": ctx.attempt() - 1, "createdAt": created_at })))
        .await
}

#[workflow]
async fn no_telemetry(ctx: Context) -> workflow::Result<()> {
    ctx.run("s", async || Ok(1)).await.map(drop)
}

#[workflow]
async fn lazy(ctx: Context) -> workflow::Result<String> {
    let x = ctx.run("l1", async || Ok("x".to_owned())).await?;
    ctx.run("l2", async || Ok(x + "y")).await
}

#[workflow]
async fn cancel(ctx: Context) -> workflow::Result<()> {
    ctx.run("before-cancel", async || Ok(1)).await?;
    ctx.cancel().await
}

#[workflow]
async fn no_steps(_ctx: Context) -> workflow::Result<&'static str> {
    Ok("nothing to do")
}

/// The header that the workflow demands. An extractor sees every delivery before the function is called.
struct Authorized;

impl<S: Sync> FromRequestParts<S> for Authorized {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        match parts.headers.get("authorization") {
            Some(given) if given == "Bearer good" => Ok(Self),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    }
}

#[workflow]
async fn auth(ctx: Context, _authorized: Authorized) -> workflow::Result<()> {
    ctx.run("secured", async || Ok("ok".to_owned())).await.map(drop)
}

fn body_of(answer: &CallResponse) -> Value {
    answer.json().unwrap_or_else(|_| answer.text().into())
}

#[workflow]
async fn call(ctx: Context) -> workflow::Result<Value> {
    let answer = ctx
        .call("call-post", "http://third.test/post?x=1")
        .json(ctx.request_payload())
        .header("x-custom", "abc")
        .await?;
    Ok(json!({ "status": answer.status(), "header": answer.headers(), "body": body_of(&answer) }))
}

#[workflow]
async fn call_get(ctx: Context) -> workflow::Result<Value> {
    let answer = ctx.call("call-get", "http://third.test/get").await?;
    Ok(json!({ "status": answer.status(), "header": answer.headers(), "body": body_of(&answer) }))
}

#[workflow]
async fn call_options(ctx: Context) -> workflow::Result<Value> {
    let answer = ctx
        .call("call-opt", "http://third.test/fail")
        .method(Method::PATCH)
        .retries(2)
        .retry_delay("1000")
        .timeout(Duration::from_secs(30))
        .flow_control(FlowControl::key("fc-call").parallelism(2).rate(10).period(Duration::from_secs(60)))
        .await?;
    Ok(json!({ "status": answer.status(), "body": body_of(&answer) }))
}

#[workflow]
async fn webhook(ctx: Context) -> workflow::Result<Value> {
    let webhook = ctx.create_webhook("make-hook").await?;
    Ok(match ctx.wait_for_webhook("wait-hook", &webhook, Duration::from_secs(30)).await? {
        WaitResult::Received(request) => json!({
            "timeout": false,
            "method": request.method(),
            "url": request.url(),
            "h": request.header("x-hook"),
            "body": request.text(),
        }),
        WaitResult::TimedOut => json!({ "timeout": true }),
    })
}

#[workflow]
async fn child(ctx: Context) -> workflow::Result<Value> {
    Ok(json!({ "childResult": got(&ctx, "child-step", "child got").await? }))
}

#[workflow(name = "childCancels")]
async fn child_cancels(ctx: Context) -> workflow::Result<()> {
    ctx.run("child-ok", async || Ok(1)).await?;
    ctx.cancel().await
}

#[workflow(name = "childNoReturn")]
async fn child_no_return(ctx: Context) -> workflow::Result<()> {
    ctx.run("child-quiet", async || Ok(1)).await.map(drop)
}

#[workflow]
async fn caller(ctx: Context) -> workflow::Result<Value> {
    let answer = ctx
        .call("call-child", "http://app.test/many/child")
        .body(r#"{"via":"call"}"#, "application/json")
        .header("x-inv", "2")
        .await?;
    Ok(json!({ "status": answer.status(), "header": answer.headers(), "body": answer.text() }))
}

/// What `invoke` gives.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invoked {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    is_canceled: bool,
    is_failed: bool,
}

impl From<InvokeResult<Option<Value>>> for Invoked {
    fn from(result: InvokeResult<Option<Value>>) -> Self {
        let (is_canceled, is_failed) =
            (matches!(result, InvokeResult::Canceled), matches!(result, InvokeResult::Failed));
        Self { body: result.completed().flatten(), is_canceled, is_failed }
    }
}

#[workflow]
async fn parent(ctx: Context) -> workflow::Result<Invoked> {
    let invoked = ctx
        .invoke_url("invoke-child", "/many/child", &json!({ "a": 1 }))
        .run_id("child-1")
        .header("x-inv", "1")
        .retries(1)
        .retry_delay("500")
        .flow_control(FlowControl::key("fc-child").parallelism(1))
        .label("l1")
        .label("l2");
    Ok(invoked.await?.into())
}

#[workflow(name = "parentCancels")]
async fn parent_cancels(ctx: Context) -> workflow::Result<Invoked> {
    let url = "/many/childCancels";
    Ok(ctx.invoke_url("invoke-child", url, &()).run_id("child-1").await?.into())
}

#[workflow(name = "parentNoReturn")]
async fn parent_no_return(ctx: Context) -> workflow::Result<Value> {
    let url = "/many/childNoReturn";
    let got: Invoked = ctx.invoke_url("invoke-child", url, &5).run_id("child-1").await?.into();
    Ok(json!({ "got": got }))
}
