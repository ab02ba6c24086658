//! A window into running steps.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::PATIENCE;

/// Places in the code of workflows: how often somebody was there, and whether they may pass. Clones are the same probe.
#[derive(Clone, Default)]
pub struct Probe {
    places: Arc<Mutex<HashMap<String, Place>>>,
}

#[derive(Clone)]
struct Place {
    reached: Arc<watch::Sender<usize>>,
    inside: Arc<watch::Sender<usize>>,
    open: Arc<watch::Sender<bool>>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            reached: Arc::new(watch::Sender::new(0)),
            inside: Arc::new(watch::Sender::new(0)),
            open: Arc::new(watch::Sender::new(false)),
        }
    }
}

/// Counts a future that is being held, until it is dropped.
struct Inside(Place);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.send_modify(|inside| *inside -= 1);
    }
}

impl Probe {
    /// Notes that the caller is at this place, and says how often somebody was, the caller included.
    pub fn pass(&self, place: &str) -> usize {
        let mut count = 0;
        self.place(place).reached.send_modify(|reached| {
            *reached += 1;
            count = *reached;
        });
        count
    }

    /// Notes that the caller is at this place, and holds it there until the place is [opened](Self::open).
    pub async fn hold(&self, place: &str) {
        let place = self.place(place);
        place.inside.send_modify(|inside| *inside += 1);
        let inside = Inside(place);
        inside.0.reached.send_modify(|reached| *reached += 1);
        let mut open = inside.0.open.subscribe();
        // The sender lives as long as this future.
        let _ = open.wait_for(|open| *open).await;
    }

    /// Lets everybody at this place go on, now and later.
    pub fn open(&self, place: &str) {
        self.place(place).open.send_replace(true);
    }

    /// Holds whoever comes to this place from now on.
    pub fn close(&self, place: &str) {
        self.place(place).open.send_replace(false);
    }

    /// How often somebody was at this place.
    pub fn count(&self, place: &str) -> usize {
        *self.place(place).reached.borrow()
    }

    /// Waits until somebody was at this place `times` times.
    ///
    /// # Panics
    /// If that does not happen within a minute.
    pub async fn reached(&self, place: &str, times: usize) {
        let mut reached = self.place(place).reached.subscribe();
        let happened = tokio::time::timeout(PATIENCE, reached.wait_for(|reached| *reached >= times)).await;
        assert!(happened.is_ok(), "`{place}` was reached {} times, not {times}", self.count(place));
    }

    /// Waits until nobody is being held at this place any more: they went on, or their futures were dropped.
    ///
    /// # Panics
    /// If that does not happen within a minute.
    pub async fn left(&self, place: &str) {
        let mut inside = self.place(place).inside.subscribe();
        let happened = tokio::time::timeout(PATIENCE, inside.wait_for(|inside| *inside == 0)).await;
        assert!(happened.is_ok(), "somebody is still held at `{place}`");
    }

    fn place(&self, place: &str) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(place.to_owned()).or_default().clone()
    }
}
