//! Histories that no engine would deliver.

use serde_json::{Value, json};
use workflow_tests::hostile::{STEP, Target};

use crate::{entry, log, plan, result};

#[tokio::test]
async fn what_is_no_log_is_refused() {
    let target = Target::start(false).await;
    let truncated = &log(&[result(1, "a", 1)])[..40];
    let deep = "[".repeat(1_000_000).into_bytes();
    for body in
        [&b"[]"[..], b"{}", b"null", b"1", b"[1]", b"\xff\xfe", b"[{\"body\":\"%\"}]", truncated, &deep]
    {
        let seen = target.send(&STEP, body.to_vec()).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len(), seen.sent.len()), (500, 0, 0), "{seen:?}");
        assert!(!seen.message().is_empty());
    }
    // The same where the endpoint fetches the log.
    for log in [&b""[..], b"{}", truncated, &log(&[result(1, "a", 1)])] {
        let seen = target.send_lazily(&[STEP[0], STEP[1], ("upstash-message-id", "m9")], log.to_vec()).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len(), seen.sent.len()), (500, 0, 1), "{seen:?}");
    }
}

#[tokio::test]
async fn steps_that_cannot_be_are_refused() {
    let target = Target::start(false).await;
    let step = |change: Value| {
        let mut step = result(1, "a", 1);
        step.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        step
    };
    for odd in [
        json!({ "stepType": "Teleport" }),
        json!({ "stepType": 7 }),
        json!({ "stepId": -1 }),
        json!({ "stepId": 1.5 }),
        json!({ "stepId": 4_294_967_296_u64 }),
        json!({ "stepId": 1e300 }),
        json!({ "stepId": "1" }),
        json!({ "stepName": null }),
        json!({ "out": { "not": "text" } }),
        json!({ "concurrent": -1 }),
        json!({ "targetStep": 1e20 }),
        json!({ "stepName": "b" }),
        json!({ "stepName": "" }),
        json!({ "stepType": "SleepFor" }),
        json!({ "concurrent": 0 }),
        json!({ "concurrent": 4_294_967_295_u64 }),
        json!({ "stepId": 2 }),
        json!({ "stepId": 4_294_967_295_u64 }),
    ] {
        let seen = target.send(&STEP, log(&[step(odd.clone())])).await;
        assert_eq!(
            (seen.answer.status().as_u16(), seen.ran.len(), seen.sent.len()),
            (500, 0, 0),
            "{odd}: {seen:?}"
        );
    }
    let bodies: [&[u8]; 4] = [b"", b"\xff\xff", b"{\"stepId\":1", b"null"];
    for body in bodies {
        let entries = json!([entry("m0", b"{}"), entry("m1", body)]);
        let seen = target.send(&STEP, entries.to_string()).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len()), (500, 0), "{body:?}: {seen:?}");
    }
}

#[tokio::test]
async fn entries_out_of_order_missing_or_twice_run_nothing_that_is_recorded() {
    let target = Target::start(false).await;
    let (a, b, c) = (result(1, "a", 1), result(2, "b", 2), result(3, "c", 2));
    let (plan_b, plan_c) = (plan(2, "b", 2), plan(3, "c", 2));
    for (steps, status) in [
        // A step is missing before others.
        (vec![b.clone()], 500),
        (vec![plan_b.clone(), plan_c.clone(), b.clone(), c.clone()], 500),
        // The last entry repeats an earlier one.
        (vec![a.clone(), a.clone()], 200),
        (vec![a.clone(), plan_b.clone(), plan_c.clone(), plan_b.clone()], 200),
        // Results before their plans, and plans of steps that have results.
        (vec![b.clone(), plan_b.clone(), plan_c.clone(), a.clone()], 200),
        (vec![a.clone(), b.clone(), plan_c.clone(), plan_b.clone()], 200),
        // The group has grown.
        (vec![a.clone(), plan(2, "b", 3), plan(3, "c", 3), plan(4, "x", 3)], 500),
        // Two members have one name.
        (vec![a.clone(), plan(2, "b", 2), plan(3, "b", 2)], 500),
        (vec![a.clone(), plan_b.clone(), plan_c.clone(), result(3, "b", 2)], 500),
        // A result names a target as well.
        (
            vec![{
                let mut step = a.clone();
                step["targetStep"] = json!(0);
                step
            }],
            200,
        ),
        // Two members have one place.
        (vec![a.clone(), plan(2, "b", 2), plan(2, "c", 2)], 200),
    ] {
        let seen = target.send(&STEP, log(&steps)).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len()), (status, 0), "{steps:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_log_that_is_fetched_is_read_up_to_the_delivered_message() {
    let target = Target::start(false).await;
    let steps = [result(1, "a", 1), plan(2, "b", 2), plan(3, "c", 2), result(2, "b", 2)];
    let body = log(&steps);
    for (message, ran) in [("m0", None), ("m1", None), ("m2", None), ("m3", Some("c")), ("m4", None)] {
        let seen =
            target.send_lazily(&[STEP[0], STEP[1], ("upstash-message-id", message)], body.clone()).await;
        assert_eq!(
            (seen.answer.status().as_u16(), seen.ran.first().map(String::as_str)),
            (200, ran),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_later_result_with_the_name_of_another_step_keeps_nothing_from_running() {
    let target = Target::start(false).await;
    let misnamed = [plan(3, "c", 2), result(1, "a", 1), plan(2, "b", 2), plan(3, "c", 2), result(3, "b", 2)];
    let headers = |message| [STEP[0], STEP[1], ("upstash-message-id", message)];
    assert_eq!(target.send_lazily(&headers("m3"), log(&misnamed)).await.ran, ["b"], "place 2 is free");
    let seen = target.send_lazily(&headers("m5"), log(&misnamed)).await;
    assert!(seen.ran.is_empty(), "{seen:?}");
    assert!(seen.message().contains("does not match the run's history"), "{seen:?}");
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused_and_absurd_headers_are_not_believed() {
    let target = Target::start(false).await;
    let run = STEP[1];
    for version in ["2", "0", "1.0", "", "one", "1, 1"] {
        let seen = target.send(&[("upstash-workflow-sdk-version", version), run], log(&[])).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len()), (500, 0), "{version}: {seen:?}");
    }
    let absurd = "99999999999999999999999999";
    let names = [
        "upstash-workflow-createdat",
        "upstash-retried",
        "upstash-max-retries",
        "upstash-workflow-invoke-count",
        "upstash-label",
    ];
    for name in names {
        for value in [absurd, "-1", "NaN", "ä", ",,,"] {
            let seen = target.send(&[STEP[0], run, (name, value)], log(&[])).await;
            assert_eq!(seen.answer.status(), 200, "{name}: {value}: {seen:?}");
            assert_eq!(seen.ran, ["a"]);
        }
    }
    for id in ["", " ", "..", "a/../../b?c#d", "wfr_\u{e4}"] {
        let seen = target.send(&[STEP[0], ("upstash-workflow-runid", id)], "").await;
        assert!(seen.ran.is_empty(), "{id}: {seen:?}");
        for (path, _) in seen.sent {
            assert!(path.starts_with("/v2/workflows/runs/") && !path.contains("/../"), "{path}");
        }
    }
}

#[tokio::test]
async fn results_of_calls_that_nobody_made_are_refused_or_submitted_as_they_are() {
    let target = Target::start(false).await;
    let good = [
        STEP[1],
        ("upstash-workflow-callback", "true"),
        ("upstash-workflow-stepid", "7"),
        ("upstash-workflow-stepname", "call"),
        ("upstash-workflow-steptype", "Call"),
        ("upstash-workflow-concurrent", "1"),
        ("upstash-workflow-contenttype", "text/plain"),
    ];
    for body in [
        "",
        "[]",
        "{}",
        "{\"status\":-1}",
        "{\"status\":70000}",
        "{\"status\":200,\"body\":\"%\"}",
        "{\"status\":200,\"body\":7}",
    ] {
        let seen = target.send(&good, body).await;
        assert_eq!((seen.answer.status().as_u16(), seen.sent.len()), (500, 0), "{body}: {seen:?}");
    }
    for (index, odd) in [
        (2, "0"),
        (2, "-1"),
        (2, "x"),
        (2, "99999999999"),
        (3, ""),
        (4, "Run"),
        (4, "Teleport"),
        (5, ""),
        (6, ""),
    ] {
        let mut headers = good;
        headers[index].1 = odd;
        let seen = target.send(&headers, r#"{"status":200}"#).await;
        assert_eq!((seen.answer.status().as_u16(), seen.sent.len()), (500, 0), "{odd}: {seen:?}");
    }
}

#[tokio::test]
async fn what_tells_of_a_failure_runs_no_step() {
    let target = Target::start(false).await;
    let headers = [STEP[1], ("upstash-workflow-failure-callback", "true")];
    for (body, status) in [("", 500), ("{}", 200), (r#"{"body":"%"}"#, 500), (r#"{"status":"x"}"#, 500)] {
        let seen = target.send(&headers, body).await;
        assert_eq!(
            (seen.answer.status().as_u16(), seen.ran.len(), seen.sent.len()),
            (status, 0, 0),
            "{body}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_history_of_fifty_megabytes_is_replayed() {
    let target = Target::start(false).await;
    let mut big = result(1, "a", 1);
    big["out"] = json!(format!("{:?}", "x".repeat(37_000_000)));
    let body = log(&[big]);
    assert!(body.len() > 48_000_000);
    let seen = target.send(&STEP, body).await;
    assert_eq!((seen.answer.status().as_u16(), seen.ran.len(), seen.sent.len()), (200, 0, 1));
    let many: Vec<_> = (0..50_000).map(|id| result(id + 1, "a", 1)).collect();
    assert_eq!(target.send(&STEP, log(&many)).await.answer.status(), 500);
}
