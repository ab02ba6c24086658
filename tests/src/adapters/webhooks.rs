//! Webhooks of an embedded engine.

use workflow::protocol::Webhook;

use super::{Harness, Site, site::run_id};
use crate::eventually;

/// The URL that the workflow has got is one of the app, and takes whatever comes.
pub async fn a_webhook_is_called_by_any_method<H: Harness>() {
    let site = Site::<H>::embedded().await;
    for (method, body) in [("POST", "{\"paid\":true}"), ("PUT", "text"), ("GET", ""), ("DELETE", "")] {
        let run = run_id(&site.send("POST", "/play", &[("x-caller", "ada")], "\"Webhook\"").await);
        let webhook = webhook_of(&site, &run).await;
        let path = webhook.webhook_url.strip_prefix(&site.url).unwrap();
        let answer = site.send(method, &format!("{path}?a=b%20c"), &[("x-thing", "some")], body).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"{}"[..]), "{method}");
        let told: String = site.output(&run).await;
        assert_eq!(told, format!("{method} {}?a=b%20c some {body}", webhook.webhook_url));
    }
}

/// Nobody learns whether there has ever been one.
pub async fn a_webhook_that_is_none_is_answered_with_404<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let run = run_id(&site.send("POST", "/play", &[("x-caller", "ada")], "\"Webhook\"").await);
    let webhook = webhook_of(&site, &run).await;
    let path = webhook.webhook_url.strip_prefix(&site.url).unwrap().to_owned();
    for path in [format!("{path}x"), "/hooks/wfr_nobody/evt_1".to_owned()] {
        assert_eq!(site.send("POST", &path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(site.send("POST", &path, &[], "").await.status, 200);
    let _: String = site.output(&run).await;
    assert_eq!(site.send("POST", &path, &[], "").await.status, 404, "the run has ended");
}

async fn webhook_of<H: Harness>(site: &Site<H>, run: &str) -> Webhook {
    eventually(format!("the run `{run}` makes a webhook"), async || {
        let log = site.client.run(run).await.unwrap()?;
        let mut steps = log.steps.iter().flat_map(|group| &group.steps);
        let made = steps.find(|step| step.step_name.as_deref() == Some("make webhook"))?;
        serde_json::from_str(made.out.as_deref()?).ok()
    })
    .await
}
