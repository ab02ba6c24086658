//! Runs on an engine that lets the handler go on in the same future.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::json;
use support::Recorder;
use workflow::{Error, WaitResult, WorkflowContext, engine::Mode, protocol::StepType, workflow};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u32,
    items: Vec<String>,
}

#[workflow]
async fn sequential(ctx: WorkflowContext<Order>) -> workflow::Result<String> {
    let order = ctx.request_payload();
    let greeting = String::from("item");
    let mut names = Vec::new();
    for item in &order.items {
        let name = ctx
            .run(format!("pack {item}"), async || {
                tokio::task::yield_now().await;
                Ok(format!("{greeting} {item} of {}", order.id))
            })
            .await?;
        names.push(name);
    }
    let count: usize = ctx.run("count", async || Ok(names.len())).await?;
    Ok(format!("{count}: {}", names.join(", ")))
}

const ORDER: &str = r#"{"id": 7, "items": ["a", "b"]}"#;

#[tokio::test]
async fn steps_run_one_after_the_other_in_one_invocation() {
    let engine = Recorder::new(Mode::Continue);
    let answer = engine.deliver::<sequential>(ORDER).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        engine.reports(),
        [
            r#"append 1 pack a "item a of 7""#,
            r#"append 2 pack b "item b of 7""#,
            "append 3 count 2",
            r#"complete "2: item a of 7, item b of 7""#,
        ]
    );
}

#[tokio::test]
async fn an_invocation_can_be_spawned() {
    let engine = Recorder::new(Mode::Continue);
    let task = tokio::spawn({
        let engine = engine.clone();
        async move { engine.deliver::<sequential>(ORDER).await.status() }
    });
    assert_eq!(task.await.unwrap(), 200);
    assert!(engine.is_over());
}

#[tokio::test]
async fn after_a_crash_recorded_steps_do_not_run_again() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[workflow]
    async fn counting(ctx: WorkflowContext<()>) -> workflow::Result<Vec<u32>> {
        let mut seen = Vec::new();
        for i in 0..4 {
            seen.push(ctx.run(format!("step {i}"), async || Ok(RUNS.fetch_add(1, Relaxed))).await?);
        }
        Ok(seen)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.die_after(2);
    let answer = engine.deliver::<counting>("").await;
    assert_eq!(answer.status(), 500, "the third report is lost with the process");
    assert_eq!(RUNS.load(Relaxed), 3);

    engine.revive();
    engine.deliver::<counting>("").await;
    assert_eq!(engine.output(), Some(json!([0, 1, 3, 4])), "the third step ran twice, the others once");
}

#[tokio::test]
async fn the_context_tells_of_the_run() {
    #[workflow]
    async fn curious(ctx: WorkflowContext<String>) -> workflow::Result<serde_json::Value> {
        let age = ctx.created_at().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(json!({
            "payload": ctx.request_payload(),
            "id": ctx.workflow_run_id(),
            "url": ctx.url(),
            "age": age.as_millis(),
            "labels": ctx.labels(),
            "attempt": ctx.attempt(),
            "headers": ctx.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect::<Vec<_>>(),
        }))
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<curious>("plain text").await;
    let expected = json!({
        "payload": "plain text", "id": "wfr_test", "url": "/test", "age": support::START, "labels": ["a", "b"],
        "attempt": 1, "headers": ["x-user: \"ada\""],
    });
    assert_eq!(engine.output(), Some(expected));
}

#[tokio::test]
async fn joined_steps_run_side_by_side_and_are_recorded_each_by_itself() {
    #[workflow]
    async fn joined(ctx: WorkflowContext<()>) -> workflow::Result<(u8, String, u8)> {
        let barrier = tokio::sync::Barrier::new(2);
        let (a, b) = tokio::join!(
            ctx.run("a", async || {
                barrier.wait().await;
                Ok(1)
            }),
            ctx.run("b", async || {
                barrier.wait().await;
                Ok("two".to_owned())
            }),
        );
        let c = ctx.run("c", async || Ok(3)).await?;
        Ok((a?, b?, c))
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<joined>("").await;
    assert_eq!(engine.output(), Some(json!([1, "two", 3])));
    let concurrent: Vec<_> = engine.history().iter().map(|step| (step.step_id, step.concurrent)).collect();
    let mut sorted = concurrent.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [(1, 2), (2, 2), (3, 1)]);
}

#[tokio::test]
async fn steps_borrow_what_is_around_them_also_in_closures() {
    #[workflow]
    async fn borrows(ctx: WorkflowContext<Order>) -> workflow::Result<usize> {
        let items = &ctx.request_payload().items;
        let prefix = String::from("item ");
        let lengths = items.iter().map(|item| {
            let prefix = &prefix;
            ctx.run(format!("measure {item}"), async move || {
                tokio::task::yield_now().await;
                Ok(prefix.len() + item.len())
            })
        });
        let mut total = 0;
        for length in try_join_all(lengths).await? {
            total += ctx.run("measured", async || Ok(length)).await?;
        }
        Ok(total)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<borrows>(ORDER).await;
    assert_eq!(engine.output(), Some(json!(12)));
}

#[tokio::test]
async fn a_group_of_a_thousand_works_and_replays() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[workflow]
    async fn wide(ctx: WorkflowContext<()>) -> workflow::Result<u64> {
        let steps = (0..1000u64).map(|i| {
            ctx.run(format!("step {i}"), async move || {
                RUNS.fetch_add(1, Relaxed);
                Ok(i)
            })
        });
        let sum = try_join_all(steps).await?.into_iter().sum();
        ctx.sleep("rest", MINUTE).await?;
        Ok(sum)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver_until_over::<wide>("", 2).await;
    assert_eq!(engine.output(), Some(json!(499_500)));
    assert_eq!(RUNS.load(Relaxed), 1000);
    let mut ids: Vec<_> = engine.history().iter().map(|step| step.step_id).collect();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(1..=1001));
}

#[tokio::test]
async fn ten_thousand_steps_run_and_replay() {
    #[workflow]
    async fn long(ctx: WorkflowContext<()>) -> workflow::Result<u64> {
        let mut sum = 0;
        for i in 0..10_000u64 {
            sum += ctx.run("add", async || Ok(i)).await?;
        }
        ctx.sleep("rest", MINUTE).await?;
        Ok(sum)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver_until_over::<long>("", 2).await;
    assert_eq!(engine.output(), Some(json!(49_995_000)));
    assert_eq!(engine.history().len(), 10_001);
}

#[tokio::test]
async fn a_partly_recorded_group_is_completed_whatever_the_order_of_its_claims() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[workflow]
    async fn reordered(ctx: WorkflowContext<()>) -> workflow::Result<Vec<String>> {
        let mut names = vec!["a", "b", "c", "d"];
        if RUNS.load(Relaxed) > 0 {
            names.reverse();
        }
        let steps = names.into_iter().map(|name| {
            ctx.run(name, async move || {
                RUNS.fetch_add(1, Relaxed);
                Ok(name.to_owned())
            })
        });
        let mut all: Vec<String> = try_join_all(steps).await?;
        all.sort_unstable();
        Ok(all)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.die_after(2);
    engine.deliver::<reordered>("").await;
    let before = engine.recorded();
    assert_eq!(before.len(), 2);

    engine.revive();
    RUNS.store(1, Relaxed);
    engine.deliver::<reordered>("").await;
    assert_eq!(engine.output(), Some(json!(["a", "b", "c", "d"])));
    assert_eq!(RUNS.load(Relaxed), 3, "only the two steps that were not recorded ran");
    assert_eq!(engine.recorded()[..2], before);
    let mut ids: Vec<_> = engine.recorded().into_iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[tokio::test]
async fn sequences_inside_join_form_groups_level_by_level() {
    #[workflow]
    async fn branches(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        let branch = async |name: &'static str, steps: u32| {
            let mut sum = 0;
            for i in 0..steps {
                sum += ctx.run(format!("{name}{i}"), async || Ok(i)).await?;
            }
            workflow::Result::Ok(sum)
        };
        let (a, b) = tokio::join!(branch("a", 3), branch("b", 2));
        Ok(a? + b?)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<branches>("").await;
    assert_eq!(engine.output(), Some(json!(4)));
    let mut groups: Vec<_> =
        engine.history().into_iter().map(|step| ((step.step_id - 1) / 2, step.step_name)).collect();
    groups.sort_unstable();
    let groups: Vec<_> = groups.iter().map(|(group, name)| (*group, name.as_str())).collect();
    assert_eq!(groups, [(0, "a0"), (0, "b0"), (1, "a1"), (1, "b1"), (2, "a2")]);
}

#[workflow]
async fn sleeper(ctx: WorkflowContext<()>) -> workflow::Result<&'static str> {
    ctx.sleep("nap", MINUTE).await?;
    ctx.sleep_until("morning", ctx.created_at() + 3 * MINUTE).await?;
    Ok("awake")
}

#[tokio::test]
async fn a_sleep_ends_the_invocation_until_it_is_due() {
    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<sleeper>("").await;
    assert_eq!(engine.reports(), ["sleep 1 nap park"]);
    assert_eq!(engine.history()[0].sleep_until, Some(1_700_000_060.0));
    assert_eq!(engine.history()[0].sleep_for, Some(json!(60)));

    engine.pass(59_999);
    engine.deliver::<sleeper>("").await;
    assert_eq!(engine.reports()[1..], ["park"], "it is not due");

    engine.pass(1);
    engine.deliver::<sleeper>("").await;
    assert_eq!(engine.reports()[2..], ["sleep 2 morning park"]);
    assert_eq!(engine.history()[1].sleep_until, Some(1_700_000_180.0));

    engine.pass(120_000);
    engine.deliver::<sleeper>("").await;
    assert_eq!(engine.output(), Some(json!("awake")));
}

#[derive(Debug, Serialize, Deserialize)]
struct Paid {
    cents: u32,
}

#[workflow]
async fn waiter(ctx: WorkflowContext<()>) -> workflow::Result<Option<u32>> {
    match ctx.wait_for_event::<Paid>("payment", "paid-1", MINUTE).await? {
        WaitResult::Received(paid) => Ok(Some(paid.cents)),
        WaitResult::TimedOut => Ok(None),
    }
}

#[tokio::test]
async fn a_wait_is_received_or_timed_out() {
    for (data, expected) in [(Some(r#"{"cents": 5}"#), json!(5)), (None, json!(null))] {
        let engine = Recorder::new(Mode::Continue);
        engine.deliver::<waiter>("").await;
        assert_eq!(engine.reports(), ["wait 1 payment for paid-1 park"]);
        engine.resolve_wait(1, "payment", 1, data);
        engine.deliver::<waiter>("").await;
        assert_eq!(engine.output(), Some(expected));
    }
}

#[tokio::test]
async fn event_data_of_another_shape_fails_the_run_and_says_so() {
    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<waiter>("").await;
    engine.resolve_wait(1, "payment", 1, Some(r#"{"cents": "five"}"#));
    engine.deliver::<waiter>("").await;
    assert!(engine.is_over());
    let failure = engine.failure().unwrap();
    assert!(failure.message.contains("`cents`"), "{}", failure.message);
}

#[tokio::test]
async fn a_group_with_a_wait_parks_when_the_rest_is_done() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[workflow]
    async fn mixed(ctx: WorkflowContext<()>) -> workflow::Result<(bool, u32)> {
        let (waited, ran, slept) = tokio::join!(
            ctx.wait_for_event::<()>("wait", "go", MINUTE),
            ctx.run("run", async || Ok(RUNS.fetch_add(1, Relaxed))),
            ctx.sleep("sleep", MINUTE),
        );
        slept?;
        Ok((waited?.is_timeout(), ran?))
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<mixed>("").await;
    let mut reports = engine.reports();
    assert_eq!(reports.pop().as_deref(), Some("park"));
    reports.sort_unstable();
    assert_eq!(reports, ["append 2 run 0", "sleep 3 sleep", "wait 1 wait for go"]);

    engine.forget_reports();
    engine.resolve_wait(1, "wait", 3, Some(""));
    engine.deliver::<mixed>("").await;
    assert_eq!(engine.reports(), ["park"], "the sleep is not over");

    engine.pass(60_000);
    engine.deliver::<mixed>("").await;
    assert_eq!(engine.output(), Some(json!([false, 0])));
}

#[tokio::test]
async fn notify_gives_back_who_was_told() {
    #[workflow]
    async fn teller(ctx: WorkflowContext<()>) -> workflow::Result<Vec<String>> {
        let all = ctx.notify("tell all", "order-1", &Paid { cents: 3 }).await?;
        let one = ctx.notify("tell one", "order-1", &()).run_id("2").await?;
        assert_eq!(one.event_id, "order-1");
        Ok(all.runs().chain(one.runs()).map(str::to_owned).collect())
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<teller>("").await;
    assert_eq!(engine.output(), Some(json!(["wfr_waiter", "wfr_2"])));
    let kinds: Vec<_> = engine.history().iter().map(|step| step.step_type).collect();
    assert_eq!(kinds, [StepType::Notify, StepType::Notify]);
}

#[tokio::test]
async fn notifications_go_out_together_as_any_steps() {
    #[workflow]
    async fn teller(ctx: WorkflowContext<()>) -> workflow::Result<Vec<String>> {
        let tell = |n: u32| ctx.notify(format!("tell {n}"), "go", &n);
        let partners = futures_util::future::try_join_all([tell(1), tell(2).run_id("wfr_2")]);
        let (partners, third, ()) =
            tokio::try_join!(partners, tell(3).run_id("wfr_3"), ctx.sleep("pause", MINUTE))?;
        Ok(partners.iter().chain([&third]).flat_map(|told| told.runs()).map(str::to_owned).collect())
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<teller>("").await;
    assert!(engine.history().iter().all(|step| step.concurrent == 4), "they are one group");
    engine.pass(60_000);
    engine.deliver::<teller>("").await;
    assert_eq!(engine.output(), Some(json!(["wfr_waiter", "wfr_2", "wfr_3"])));
}

#[tokio::test]
async fn a_notification_knows_where_it_was_written() {
    #[workflow(allow(repeated_step_name))]
    async fn twice(ctx: WorkflowContext<()>) -> workflow::Result<()> {
        let first = ctx.notify("tell", "go", &1).run_id("wfr_1");
        let second = ctx.notify("tell", "go", &2);
        tokio::try_join!(first, second).map(drop)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<twice>("").await;
    let message = engine.failure().unwrap().message;
    assert_eq!(message.matches("continue_mode.rs:").count(), 2, "{message}");
}

#[tokio::test]
async fn a_failed_step_is_tried_again_and_the_function_never_sees_it() {
    #[workflow]
    async fn flaky(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        let sure = ctx.run("sure", async || Ok(ctx.attempt())).await?;
        assert_eq!(sure, 1);
        let attempt = ctx
            .run("flaky", async || match ctx.attempt() {
                attempt @ 1..3 => Err(Error::msg(format!("attempt {attempt}"))),
                attempt => Ok(attempt),
            })
            .await;
        Ok(attempt.expect("a retryable failure is never seen here"))
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<flaky>("").await;
    assert_eq!(engine.reports(), ["append 1 sure 1", "failed 2 flaky park"]);
    engine.deliver::<flaky>("").await;
    assert_eq!(engine.reports()[2..], ["park"], "the next attempt is not due");
    engine.deliver_until_over::<flaky>("", 3).await;
    assert_eq!(engine.output(), Some(json!(3)));
    assert_eq!(engine.failure().unwrap().message, "attempt 2");
}

#[tokio::test]
async fn in_a_group_a_failed_member_waits_while_the_others_go_on() {
    #[workflow]
    async fn half(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        let flaky = ctx.run("flaky", async || match ctx.attempt() {
            1 => Err(Error::retry_after("later", MINUTE)),
            attempt => Ok(attempt),
        });
        let steady = ctx.run("steady", async || {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            Ok(10)
        });
        let (flaky, steady) = tokio::join!(flaky, steady);
        Ok(flaky? + steady?)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<half>("").await;
    assert_eq!(engine.reports(), ["failed 1 flaky", "append 2 steady 10", "park"]);
    engine.pass(60_000);
    engine.deliver::<half>("").await;
    assert_eq!(engine.output(), Some(json!(12)));
}

#[tokio::test]
async fn the_last_failure_fails_the_run_or_is_recorded() {
    #[workflow]
    async fn charges(ctx: WorkflowContext<bool>) -> workflow::Result<String> {
        let attempt = || ctx.attempt();
        let step = ctx.step("charge").retries(1);
        if *ctx.request_payload() {
            let charged =
                step.try_run(async || Err::<u32, _>(Error::msg(format!("declined {}", attempt())))).await;
            let failure = charged.unwrap_err();
            ctx.run("release", async || Ok(())).await?;
            Ok(failure.message)
        } else {
            step.run(async || Err(Error::msg(format!("declined {}", attempt())))).await
        }
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver_until_over::<charges>("true", 2).await;
    assert_eq!(engine.output(), Some(json!("declined 2")));
    assert_eq!(engine.history()[0].out.as_deref(), Some(r#"{"Err":{"message":"declined 2"}}"#));

    let engine = Recorder::new(Mode::Continue);
    engine.deliver_until_over::<charges>("false", 2).await;
    assert_eq!(engine.output(), None);
    assert_eq!(engine.failure().unwrap().message, "declined 2");
    assert_eq!(engine.failure().unwrap().max_retries, Some(1));
}

#[tokio::test]
async fn a_non_retryable_failure_ends_the_run_at_once() {
    #[workflow]
    async fn doomed(ctx: WorkflowContext<()>) -> workflow::Result<()> {
        ctx.run("charge", async || Err(Error::non_retryable("declined"))).await
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<doomed>("").await;
    assert!(engine.is_over());
    assert_eq!(engine.reports(), ["failed 1 charge park"]);
}

#[tokio::test]
async fn panics_are_ordinary_failures_of_the_step_or_of_the_code_between() {
    #[workflow]
    async fn panics(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        let in_step = async || -> workflow::Result<()> {
            if ctx.attempt() == 1 {
                panic!("in the step");
            }
            Ok(())
        };
        ctx.run("step", in_step).await?;
        if ctx.attempt() == 1 {
            panic!("after step {}", 1);
        }
        Ok(ctx.attempt())
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<panics>("").await;
    assert_eq!(engine.failure().unwrap().message, "the code panicked: in the step");
    assert_eq!(engine.failure().unwrap().step_name.as_deref(), Some("step"));
    engine.pass(1000);
    engine.deliver::<panics>("").await;
    assert_eq!(engine.failure().unwrap().message, "the code panicked: after step 1");
    assert_eq!(engine.reports(), ["failed 1 step park", "append 1 step null", "failed 2 - park"]);
    engine.pass(1000);
    engine.deliver::<panics>("").await;
    assert_eq!(engine.output(), Some(json!(2)));
}

#[tokio::test]
async fn an_error_between_steps_fails_the_attempt_of_the_next_step() {
    #[workflow]
    async fn parses(ctx: WorkflowContext<String>) -> workflow::Result<u32> {
        ctx.run("first", async || Ok(())).await?;
        Ok(ctx.request_payload().parse()?)
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<parses>("x").await;
    let failure = engine.failure().unwrap();
    assert_eq!((failure.step_id, failure.step_name), (2, None));
    assert_eq!(failure.message, "invalid digit found in string");
    assert!(!engine.is_over());
}

#[tokio::test]
async fn a_payload_of_another_shape_fails_the_run_at_once() {
    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<sequential>(r#"{"id": 7, "items": ["a", 2]}"#).await;
    assert!(engine.is_over());
    let failure = engine.failure().unwrap();
    assert_eq!((failure.step_id, failure.step_name), (1, None));
    for part in ["the payload does not fit", "Order`", "`items[1]`", "expected a string"] {
        assert!(failure.message.contains(part), "{part} in {}", failure.message);
    }
}

#[tokio::test]
async fn a_step_inside_a_step_is_refused_even_if_the_body_ignores_it() {
    #[workflow]
    async fn nested(ctx: WorkflowContext<()>) -> workflow::Result<()> {
        let same = ctx.clone();
        ctx.run("outer", async || {
            tokio::task::yield_now().await;
            let _ = same.run("inner", async || Ok(())).await;
            Ok(())
        })
        .await
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<nested>("").await;
    assert!(engine.is_over());
    let failure = engine.failure().unwrap();
    assert_eq!(failure.step_name.as_deref(), Some("outer"));
    for part in ["`inner`", "continue_mode.rs:", "cannot run inside another step"] {
        assert!(failure.message.contains(part), "{part} in {}", failure.message);
    }
    assert!(engine.history().is_empty());
}

#[tokio::test]
async fn a_step_in_a_spawned_task_is_refused() {
    #[workflow(allow(nondeterminism))]
    async fn spawner(ctx: WorkflowContext<()>) -> workflow::Result<String> {
        let own = ctx.clone();
        let spawned = tokio::spawn(async move { own.run("lost", async || Ok(())).await }).await?;
        Ok(spawned.unwrap_err().to_string())
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<spawner>("").await;
    let message = engine.output().unwrap();
    assert!(message.as_str().unwrap().contains("`lost`"), "{message}");
}

#[tokio::test]
async fn steps_of_one_name_in_a_group_are_refused_with_both_places() {
    #[workflow(allow(repeated_step_name))]
    async fn twins(ctx: WorkflowContext<()>) -> workflow::Result<()> {
        let one = ctx.run("twin", async || Ok(()));
        let other = ctx.run("twin", async || Ok(()));
        join_all([Box::pin(one) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>, Box::pin(other)]).await;
        Ok(())
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<twins>("").await;
    assert!(engine.is_over());
    let message = engine.failure().unwrap().message;
    assert_eq!(message.matches("continue_mode.rs:").count(), 2, "{message}");
}

#[tokio::test]
async fn the_function_may_wait_for_other_things_between_steps() {
    #[workflow(allow(nondeterminism))]
    async fn waits(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { sender.send(20) });
        let base = receiver.await?;
        ctx.run("add", async || Ok(base + 1)).await
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<waits>("").await;
    assert_eq!(engine.output(), Some(json!(21)));
}

#[tokio::test]
async fn a_step_that_is_dropped_while_it_runs_does_not_hold_up_the_others() {
    #[workflow(allow(nondeterminism))]
    async fn impatient(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        let never = ctx.run("never", async || std::future::pending::<workflow::Result<u32>>().await);
        tokio::select! {
            biased;
            never = never => never,
            () = tokio::task::yield_now() => ctx.run("other", async || Ok(1)).await,
        }
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<impatient>("").await;
    assert_eq!(engine.recorded(), [(2, "other".to_owned())]);
    assert_eq!(engine.output(), Some(json!(1)));
}

#[tokio::test]
async fn what_does_not_survive_json_is_not_recorded() {
    #[workflow]
    async fn nan(ctx: WorkflowContext<()>) -> workflow::Result<f64> {
        ctx.run("nan", async || Ok(f64::NAN)).await
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<nan>("").await;
    assert!(engine.is_over());
    assert!(engine.history().is_empty());
    assert!(engine.failure().unwrap().message.contains("`f64`"));
}

#[tokio::test]
async fn the_first_recorded_result_wins() {
    #[workflow]
    async fn late(ctx: WorkflowContext<()>) -> workflow::Result<u32> {
        ctx.run("step", async || {
            // Meanwhile another invocation of the run has recorded the step.
            LATE.with(|engine| {
                let mut step = workflow::protocol::Step::new(1, "step", StepType::Run);
                step.out = Some("1".to_owned());
                engine.borrow().as_ref().unwrap().record(step);
            });
            Ok(2)
        })
        .await
    }

    thread_local! {
        static LATE: std::cell::RefCell<Option<std::sync::Arc<Recorder>>> = const { std::cell::RefCell::new(None) };
    }
    let engine = Recorder::new(Mode::Continue);
    LATE.set(Some(engine.clone()));
    engine.deliver::<late>("").await;
    assert_eq!(engine.output(), Some(json!(1)));
}
