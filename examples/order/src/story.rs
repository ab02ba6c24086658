//! Four scenes, played over HTTP against the running app. Each ends with a check of what it shows.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use serde::de::DeserializeOwned;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::sleep,
};
use workflow::{Client, Event, EventId, Workflow};

use crate::{
    Error, TOKEN, client,
    workflows::{Order, Payment, Processed, confirm_order, process_order, sell_order, ship_order},
};

/// How often the story looks whether something has happened.
const GLANCE: Duration = Duration::from_millis(50);

/// Plays all scenes.
pub async fn tell(url: &str, data: &Path) -> Result<(), Error> {
    let client = client(url)?;
    // Numbers that no earlier performance has used.
    let number = SystemTime::UNIX_EPOCH.elapsed()?.as_secs() % 100_000;
    let order = |scene: u64, item: &str| Order { order_id: number * 10 + scene, item: item.to_owned() };

    notify_within_a_workflow(&client, &order(1, "teapot")).await?;
    notify_from_outside(&client, &order(2, "tea cosy")).await?;
    notify_before_the_wait(&client, &order(3, "tea")).await?;
    kill_in_the_middle(data, &order(4, "samovar")).await?;
    Ok(())
}

async fn notify_within_a_workflow(client: &Client, order: &Order) -> Result<(), Error> {
    title("(a) One workflow notifies another");
    let event = Processed::id(order.order_id);

    let waiting = client.trigger::<confirm_order>(order).await?.workflow_run_id;
    waits(client, &event, &waiting).await?;
    say(&format!("Run {waiting} waits for the event `{event}`, to tell the customer."));

    let processing = client.trigger::<process_order>(order).await?.workflow_run_id;
    say(&format!("Run {processing} processes the order and then notifies `{event}`:"));
    result::<process_order>(client, &processing).await?;
    let confirmed = result::<confirm_order>(client, &waiting).await?;
    say(&format!("The waiting run has returned: {confirmed}"));
    check(confirmed.contains("is on its way"), "the waiting run was notified")
}

async fn notify_from_outside(client: &Client, order: &Order) -> Result<(), Error> {
    title("(b) Something outside notifies a workflow");
    let event = Processed::id(order.order_id);

    let waiting = client.trigger::<confirm_order>(order).await?.workflow_run_id;
    waits(client, &event, &waiting).await?;
    say(&format!("Run {waiting} waits for `{event}`."));

    let processed = Processed { order_id: order.order_id, tracking_number: "BY-HAND".to_owned() };
    let told = client.notify_event(&processed).await?;
    let runs: Vec<_> = told.iter().map(|told| told.workflow_run_id.as_str()).collect();
    say(&format!("The client notifies `{event}`. The answer lists who was told: {runs:?}"));
    let confirmed = result::<confirm_order>(client, &waiting).await?;
    say(&format!("The run has returned: {confirmed}"));
    check(runs == [waiting.as_str()], "the answer lists the waiter")
}

async fn notify_before_the_wait(client: &Client, order: &Order) -> Result<(), Error> {
    title("(c) The notification comes before the wait");
    let payment = Payment { order_id: order.order_id, cents: 495 };

    let run = client.trigger::<sell_order>(order).await?.workflow_run_id;
    let told = client.notify_event(&payment).run_id(&run).await?;
    let stored = told.iter().all(|told| told.waiter.is_none());
    let event = payment.event_id();
    say(&format!("Run {run} has just been triggered, and is notified of `{event}` at once, by its id."));
    say("The answer names no waiter: the run is not there yet, and the notification is kept for it.");
    let sold = result::<sell_order>(client, &run).await?;
    say(&format!("It got there, and has returned: {sold}"));
    check(stored && sold.contains("495 cents"), "the run got the stored notification")
}

async fn kill_in_the_middle(data: &Path, order: &Order) -> Result<(), Error> {
    title("(d) The process is killed in the middle of a run");
    let data = data.join("killed");
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let client = client(&url)?;

    say("A second process of this app, with a file of its own, charges a card and packs a parcel:");
    let mut process = start(&data, port).await?;
    let run = client.trigger::<ship_order>(order).retry_delay("500").await?.workflow_run_id;
    while !ledger(&data, order)?.contains("is being packed") {
        sleep(GLANCE).await;
    }
    process.kill().await?;
    say("Killed (SIGKILL) while it was packing. It starts again, and the run goes on by itself:");

    let mut process = start(&data, port).await?;
    let shipped = result::<ship_order>(&client, &run).await?;
    say(&format!("Run {run} has returned: {shipped}"));
    let ledger = ledger(&data, order)?;
    let charged = ledger.matches("the card is charged").count();
    let packed = ledger.matches("is being packed").count();
    say(&format!(
        "By the shop's ledger, the card was charged {charged} time, and packing began {packed} times:"
    ));
    say("a step whose result is recorded never runs again; one that was cut off does.");
    process.kill().await?;
    check(charged == 1 && packed == 2, "the committed step ran once, the interrupted one twice")
}

/// Starts this program once more, as a server only, and waits until it listens.
async fn start(data: &Path, port: u16) -> Result<Child, Error> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg("--serve")
        .args(["--port", &port.to_string()])
        .arg("--data")
        .arg(data)
        .kill_on_drop(true)
        .spawn()?;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if let Some(status) = process.try_wait()? {
            return Err(format!("the second process ended with {status}").into());
        }
        sleep(GLANCE).await;
    }
    Ok(process)
}

/// What the shop has done for the order.
fn ledger(data: &Path, order: &Order) -> Result<String, Error> {
    let ledger = match std::fs::read_to_string(data.join("ledger.txt")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let of_order = format!("order {}:", order.order_id);
    Ok(ledger.lines().filter(|line| line.contains(&of_order)).map(|line| format!("{line}\n")).collect())
}

/// Returns once the run waits for the event.
async fn waits<E>(client: &Client, event: &EventId<E>, run_id: &str) -> Result<(), Error> {
    while !client.get_waiters(event).await?.iter().any(|waiter| waiter.run_id() == Some(run_id)) {
        sleep(GLANCE).await;
    }
    Ok(())
}

/// What the run of the workflow has returned, once it has ended.
async fn result<W>(client: &Client, run_id: &str) -> Result<W::Output, Error>
where
    W: Workflow<Output: DeserializeOwned + 'static>,
{
    loop {
        if let Some(run) = client.run(run_id).await?
            && let Some(result) = run.result::<W>()?
        {
            return Ok(result);
        }
        sleep(GLANCE).await;
    }
}

fn title(text: &str) {
    println!("\n{text}");
}

fn say(text: &str) {
    println!("    {text}");
}

fn check(holds: bool, what: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(format!("this should hold, but does not: {what}").into()) }
}

/// Prints commands that work while the app is serving.
pub fn show_what_to_try(url: &str) {
    let (engine, token) = match std::env::var("QSTASH_TOKEN") {
        Ok(_) => ("${QSTASH_URL:-https://qstash.upstash.io}", "$QSTASH_TOKEN"),
        Err(_) => (url, TOKEN),
    };
    println!(
        r#"
Try it yourself: a run that waits for order 7, who waits for it, an event from outside, and what became of it:

    curl "{engine}/v2/trigger/{url}/api/confirm-order" -H "Authorization: Bearer {token}" -d '{{"orderId": 7, "item": "cup"}}'
    curl "{engine}/v2/waiters/order-7" -H "Authorization: Bearer {token}"
    curl "{engine}/v2/notify/order-7" -H "Authorization: Bearer {token}" -d '{{"orderId": 7, "trackingNumber": "TRK7"}}'
    curl "{engine}/v2/workflows/logs?count=1" -H "Authorization: Bearer {token}"

A plain request to the route of a workflow starts a run, too (unless signing keys are set):

    curl "{url}/api/process-order" -d '{{"orderId": 8, "item": "saucer"}}'

Ctrl-C ends it."#
    );
}
