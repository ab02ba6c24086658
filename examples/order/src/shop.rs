//! The world outside of the workflows: what is done there stays done, whatever becomes of this process.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use crate::workflows::Order;

/// Charges cards, sends parcels and mails. Everything it does goes into a ledger: a text file, one line for each deed.
#[derive(Clone)]
pub struct Shop {
    ledger: Arc<PathBuf>,
}

impl Shop {
    pub fn new(ledger: PathBuf) -> Self {
        Self { ledger: Arc::new(ledger) }
    }

    pub async fn charge_card(&self, order: &Order) -> workflow::Result<String> {
        self.note(order, "the card is charged").await?;
        Ok(format!("charge-{}", order.order_id))
    }

    /// Takes a second, in which much can happen.
    pub async fn send_parcel(&self, order: &Order) -> workflow::Result<String> {
        self.note(order, "the parcel is being packed").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.note(order, "the parcel is sent").await?;
        Ok(format!("TRK{:06}", order.order_id))
    }

    pub async fn reserve(&self, order: &Order) -> workflow::Result<()> {
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.note(order, "the goods are reserved").await
    }

    pub async fn release(&self, order: &Order) -> workflow::Result<()> {
        self.note(order, "the goods are back on the shelf").await
    }

    pub async fn mail(&self, order: &Order, text: &str) -> workflow::Result<()> {
        self.note(order, &format!("mail to the customer: {text}")).await
    }

    /// Writes a line into the ledger and shows it.
    pub async fn note(&self, order: &Order, deed: &str) -> workflow::Result<()> {
        let line = format!("process {}, order {}: {deed}", std::process::id(), order.order_id);
        println!("        {line}");
        let mut ledger = std::fs::OpenOptions::new().create(true).append(true).open(&*self.ledger)?;
        writeln!(ledger, "{line}")?;
        Ok(())
    }
}
