use proc_macro2::TokenStream;
use quote::quote;

use super::{Lints, examine};

/// The first words of all warnings of a body.
fn warnings(body: TokenStream) -> Vec<String> {
    examine(body, "ctx", Lints::default()).warnings.into_iter().map(|warning| warning.text).collect()
}

fn mistakes(body: TokenStream) -> Vec<String> {
    examine(body, "ctx", Lints::default()).mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn each_kind_of_call_is_told_once_with_its_replacement() {
    let cases = [
        (quote!(let now = SystemTime::now();), "`SystemTime::now`", "async || Ok(SystemTime::now())"),
        (
            quote!(let now = std::time::Instant::now();),
            "`std::time::Instant::now`",
            "measure inside of a step",
        ),
        (quote!(let now = chrono::Utc::now();), "`chrono::Utc::now`", "`ctx.created_at()`"),
        (quote!(let now = Local::now().date_naive();), "`Local::now`", "in a step"),
        (quote!(let now = jiff::Zoned::now();), "`jiff::Zoned::now`", "in a step"),
        (quote!(let now = Timestamp::now();), "`Timestamp::now`", "in a step"),
        (quote!(let now = OffsetDateTime::now_utc();), "`OffsetDateTime::now_utc`", "in a step"),
        (quote!(let at = order.at.unwrap_or_else(Utc::now);), "`Utc::now`", "in a step"),
        (quote!(let dice = rand::random::<u8>();), "`rand::random`", "draw in a step"),
        (quote!(let mut rng = ::rand::rng();), "`rand::rng`", "draw in a step"),
        (quote!(let n = 0..fastrand::u8(..);), "`fastrand::u8`", "draw in a step"),
        (quote!(let id = Uuid::new_v4();), "`Uuid::new_v4`", "Ok(Uuid::new_v4(..))"),
        (quote!(let id = uuid::Uuid::now_v7();), "`uuid::Uuid::now_v7`", "`ctx.workflow_run_id()`"),
        (quote!(let id = Ulid::new();), "`Ulid::new`", "in a step"),
        (quote!(tokio::spawn(async move {});), "`tokio::spawn`", "tokio::join!(ctx.run(..), ctx.run(..))"),
        (quote!(task::spawn_blocking(work);), "`task::spawn_blocking`", "in a step"),
        (quote!(tokio::time::sleep(day).await;), "`tokio::time::sleep`", "ctx.sleep(\"name\", duration)"),
        (quote!(thread::sleep(day);), "`thread::sleep`", "ctx.sleep("),
        (quote!(time::timeout(day, work).await;), "`time::timeout`", "ctx.wait_for_event(..)"),
        (quote!(let every = tokio::time::interval(day);), "`tokio::time::interval`", "sleep in a loop"),
        (quote!(tokio::select! { a = one => {}, b = two => {} }), "`tokio::select!`", "tokio::join!(..)"),
        (quote!(select! { a = one => {} }), "`select!`", "race inside of one step"),
        (quote!(let url = std::env::var("URL")?;), "`std::env::var`", "take it as state"),
        (
            quote!(let text = tokio::fs::read_to_string("a").await?;),
            "`tokio::fs::read_to_string`",
            "in a step",
        ),
        (quote!(let file = File::open("a")?;), "`File::open`", "in a step"),
        (quote!(let page = reqwest::get(url).await?;), "`reqwest::get`", "send it in a step"),
        (quote!(let page = client.post(url).json(&order).send().await?;), "`.send`", "send it in a step"),
        (
            quote!(client.trigger::<order>(&7).await?;),
            "`.trigger`",
            "`ctx.invoke::<..>(\"name\", payload).await?`",
        ),
        (quote!(shop.client().trigger::<order>(&7).label("a").await?;), "`.trigger`", "in a step"),
        (
            quote!(workflows.trigger_url("/order", &7).await?;),
            "`.trigger_url`",
            "Ok(client.trigger_url(..).await?)",
        ),
        (quote!(client.notify("e", &7).await?;), "`.notify`", "`ctx.notify(\"name\", ..).await?`"),
    ];
    for (body, call, instead) in cases {
        let told = warnings(body.clone());
        let [one] = &*told else { panic!("{body}: {told:?}") };
        for part in [call, instead, "#[workflow(allow(nondeterminism))]"] {
            assert!(one.contains(part), "{body}: {part} in {one}");
        }
    }
}

#[test]
fn imports_of_the_body_are_followed() {
    let told = warnings(quote! {
        use tokio::{time::{self, sleep, timeout as limit}, spawn};
        use rand::random as dice;
        sleep(day).await;
        limit(day, work).await;
        spawn(work);
        time::interval(day);
        dice::<u8>();
    });
    let calls: Vec<_> = told.iter().filter_map(|text| text.split('`').nth(1)).collect();
    assert_eq!(calls, ["sleep", "limit", "spawn", "time::interval", "dice"]);
}

#[test]
fn calls_in_nested_blocks_closures_and_macros_are_found() {
    for body in [
        quote!(if late {
            for order in orders {
                let now = Utc::now();
            }
        }),
        quote!(let all = orders.iter().map(|order| (order, Uuid::new_v4()));),
        quote!(tokio::join!(async { tokio::time::sleep(day).await }, ctx.run("a", work));),
        quote!(let text = format!("{}", Utc::now());),
        quote!(ctx.run(Uuid::new_v4().to_string(), async || Ok(())).await?;),
        quote!(ctx.run("a", async || Ok(Utc::now())).await?; Utc::now();),
        quote!(let (a, b) = (async || parse::<A, B>(Utc::now()).await, Utc::now());),
    ] {
        assert_eq!(warnings(body.clone()).len(), 1, "{body}");
    }
}

#[test]
fn steps_may_do_anything() {
    for body in [
        quote!(ctx.run("now", async || Ok(Utc::now())).await?;),
        quote!(ctx.run("now", async move || { let now = Utc::now(); tokio::time::sleep(day).await; Ok(now) }).await?;),
        quote!(ctx.run("now", || async { Ok(Utc::now()) }).await?;),
        quote!(ctx.run("now", move || async move { Ok(Utc::now()) }).await?;),
        quote!(ctx.step("now").retries(5).run(async || Ok(Utc::now())).await?;),
        quote!(ctx.try_run::<u8, _, _>("draw", async || Ok(rand::random())).await;),
        quote!(let body = async || Ok(Utc::now()); ctx.run("now", body).await?;),
        quote!(try_join_all(ids.iter().map(|id| ctx.run(name(id), async move || fetch::<A, B>(id, Utc::now()).await))).await?;),
        quote!(ctx.run("page", async || Ok(client.get(url).send().await?.text().await?)).await?;),
        quote!(ctx.run("page", async || Ok(reqwest::get(url).await?.text().await?)).await?;),
        quote!(ctx.run("page", async || Ok(reqwest::Client::new().post(url).json(&order).send().await?)).await?;),
        quote!(ctx.run("start", async || Ok(client.trigger::<order>(&7).await?)).await?;),
    ] {
        assert_eq!(warnings(body.clone()), [""; 0], "{body}");
    }
}

#[test]
fn things_of_the_users_own_are_left_alone() {
    for body in [
        quote!(let now = my_clock::now();),
        quote!(let now = crate::time::Instant::now();),
        quote!(let now = game::Instant::now();),
        quote!(let now = self::Utc::now();),
        quote!(use game::Instant; let now = Instant::now();),
        quote!(use game::{clock::Utc, dice::Rng as SystemTime}; Utc::now(); SystemTime::now();),
        quote!(struct Instant; impl Instant { fn now() -> Self { Self } } Instant::now();),
        quote!(mod tokio { pub fn spawn() {} } tokio::spawn();),
        quote!(fn spawn(order: u8) {} spawn(1);),
        quote!(spawn(1); sleep(2); random(); timeout(3); var("a"); get(4);),
        quote!(macro_rules! select { () => {} } select!();),
        quote!(sql::select!(a);),
        quote!(let select = 1; if select != 2 {}),
        quote!(ctx.sleep("a day", day).await?;),
        quote!(sender.send().await; sender.send(1).await; map.get(&1); map.get(&1), sender.send();),
        quote!(registry.get(&id).send();),
        quote!(ctx.notify("tell", "e", &7).await?; waiting.notify(1); alarm.trigger();),
        quote!(let clock = order.now; clock.now(); order.time.sleep();),
        quote!(
            fn helper() -> Instant {
                Instant::now()
            }
        ),
        quote!(#[cfg(SystemTime::now)] let a = 1;),
        quote!(
            use std::time::Instant;
        ),
        quote!(let root = env!("CARGO_MANIFEST_DIR");),
        quote!(let fetch: fn(u8) = work; fetch(1);),
    ] {
        assert_eq!(warnings(body.clone()), [""; 0], "{body}");
    }
}

#[test]
fn nothing_is_looked_for_where_it_is_allowed() {
    let body = quote!(let now = Utc::now(); ctx.run("a", one).await?; ctx.run("a", two).await?;);
    let told = |nondeterminism, repeated_step_name| {
        let lints = Lints { nondeterminism, repeated_step_name };
        examine(body.clone(), "ctx", lints)
            .warnings
            .into_iter()
            .map(|warning| warning.title)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(true, false), ["NONDETERMINISM"]);
    assert_eq!(told(false, true), ["REPEATED_STEP_NAME"]);
    assert_eq!(told(false, false), [""; 0]);
}

#[test]
fn a_step_inside_of_a_step_is_a_mistake() {
    for body in [
        quote!(ctx.run("outer", async || ctx.run("inner", async || Ok(())).await).await),
        quote!(ctx.step("outer").retries(1).run(async move || {
            if late {
                ctx.sleep("inner", day).await?;
            }
            Ok(())
        })),
        quote!(tokio::join!(ctx.try_run("outer", || async { ctx.notify("inner", "e", &1).await }))),
        quote!(ctx.run("outer", async || ctx.notify_event("inner", &paid).run_id(run).await).await),
    ] {
        let told = mistakes(body.clone());
        assert!(
            matches!(&*told, [one] if one.contains("inside of another step, `outer`")),
            "{body}: {told:?}"
        );
    }
    for body in [
        quote!(ctx.run("a", async || Ok(ctx.attempt())).await; ctx.run("b", async || Ok(())).await),
        quote!(let each = async |n| ctx.run("each", async || Ok(n)).await; each(1).await),
        quote!(
            ctx.run("a", async || {
                let ctx = shop.context();
                ctx.run("b").await
            })
            .await
        ),
        quote!(let ctx = shop.context(); ctx.run("a", async || ctx.run("b").await).await),
        quote!(ctx.run("a", async || shops.each(|ctx| ctx.run("b")).await).await),
        quote!(ctx.run("a", async || shops.each(|shop, ctx| ctx.run("b")).await).await),
        quote!(ctx.run(ctx.url().to_owned(), async || shop.ctx.run("b").await).await),
    ] {
        assert_eq!(mistakes(body.clone()), [""; 0], "{body}");
    }
}

#[test]
fn two_steps_of_one_name_in_a_join_are_a_mistake() {
    let told = mistakes(quote!(tokio::join!(ctx.run("a", one), ctx.sleep("b", day), ctx.step("a").run(two))));
    assert!(matches!(&*told, [one] if one.contains("named `a`, too")), "{told:?}");
    assert_eq!(mistakes(quote!(futures::try_join!(ctx.run("a", one), ctx.run("a", two))?;)).len(), 1);
    for body in [
        quote!(ctx.run("a", one).await?; ctx.run("a", two).await?;),
        quote!(tokio::join!(ctx.run("a", one), ctx.run("b", two))),
        quote!(tokio::join!(ctx.run(name, one), ctx.run(name, two))),
        quote!(tokio::join!(ctx.run("a", one), shop.run("a", two))),
        quote!(in_sequence::join!(ctx.run("a", one), ctx.run("a", two))),
        quote!(tokio::join!(ctx.run("a", one)); tokio::join!(ctx.run("a", two))),
    ] {
        assert_eq!(mistakes(body.clone()), [""; 0], "{body}");
    }
}

#[test]
fn two_steps_of_one_name_that_one_run_may_come_to_are_told() {
    for body in [
        quote!(ctx.run("a", one).await?; ctx.sleep("b", day).await?; ctx.step("a").retries(2).run(two).await?;),
        quote!(let both = (ctx.run("a", one).await?, ctx.call("a", url).await?);),
        quote!(ctx.run("a", one).await?; if late { ctx.invoke::<other>("a", 1).await?; }),
        quote!(if late { ctx.wait_for_webhook("a", &hook, day).await?; } ctx.run("a", one).await?;),
        quote!(match kind { Kind::Late => ctx.run("a", one).await?, _ => 0 }; ctx.run("a", two).await?;),
        quote!(for item in items { ctx.run("a", one).await?; } ctx.run("a", two).await?;),
        quote!(loop {
            ctx.run("a", one).await?;
            while late {
                ctx.run("a", two).await?;
                break;
            }
        }),
        quote!(tokio::join!(ctx.run("a", one), ctx.run("b", two)); ctx.run("b", three).await?;),
    ] {
        let told = warnings(body.clone());
        assert!(
            matches!(&*told, [one] if one.contains("an earlier step of this workflow is named `")),
            "{body}: {told:?}"
        );
    }
    for body in [
        quote!(ctx.run("a", one).await?; ctx.run("b", one).await?;),
        quote!(ctx.run(name, one).await?; ctx.run(name, one).await?; shop.run("a").await; shop.run("a").await;),
        quote!(if late {
            ctx.run("a", one).await?;
        } else if early {
            ctx.run("a", two).await?;
        } else {
            ctx.run("a", two).await?;
        }),
        quote!(if late { ctx.run("a", one).await?; return Ok(()); } ctx.run("a", two).await?;),
        quote!(if late { ctx.run("a", one).await?; Err(Error::non_retryable("late"))?; } ctx.run("a", two).await?;),
        quote!(if late { ctx.run("a", one).await?; anyhow::bail!("late"); } ctx.run("a", two).await?;),
        quote!(loop {
            if late {
                if later {
                    break ctx.run("a", one).await?;
                }
            }
            ctx.run("a", two).await?;
        }),
        quote!(let Some(a) = order.a else { ctx.run("a", one).await?; return ctx.cancel().await; }; ctx.run("a", two).await?;),
        quote!(match kind {
            Kind::Late => ctx.run("a", one).await?,
            Kind::Early => {
                ctx.run("a", two).await?
            }
            _ => ctx.run("a", two).await?,
        }),
        quote!(match kind {
            Kind::Late => {
                ctx.run("a", one).await?
            }
            Kind::Early if ctx.attempt() > 1 => ctx.run("a", two).await?,
            _ => {}
        }),
        quote!(loop {
            ctx.run("a", one).await?;
        }),
        quote!(let retry = async |n| ctx.run("a", one).await; retry(1).await?; retry(2).await?;),
    ] {
        assert_eq!(warnings(body.clone()), [""; 0], "{body}");
    }
}

#[test]
fn a_step_that_is_thrown_away_is_told() {
    let told = warnings(quote!(let _ = ctx.run("a", async || Ok(()));));
    assert!(
        matches!(&*told, [one] if one.contains("never runs") && one.contains("`.run(..).await?`")),
        "{told:?}"
    );
    assert_eq!(warnings(quote!(let _ = ctx.run("a", async || Ok(())).await;)), [""; 0]);
    assert_eq!(warnings(quote!(let _ = ctx.url();)), [""; 0]);
}
