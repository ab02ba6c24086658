//! Time, as the engine sees it. A test can move it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Where an engine takes its time from.
pub trait Clock: Send + Sync + 'static {
    /// Now, in milliseconds since the Unix epoch.
    fn now(&self) -> i64;

    /// How long to wait until a time (milliseconds since the Unix epoch) is reached. `None` if waiting does not bring it
    /// nearer.
    fn until(&self, time: i64) -> Option<Duration>;

    /// Asks to be told whenever time has been moved by hand.
    fn on_move(&self, _tell: Box<dyn Fn() + Send + Sync>) {}
}

/// The time of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn until(&self, time: i64) -> Option<Duration> {
        // An hour at most, so that a clock that is set forward is noticed within the hour.
        let wait = time.saturating_sub(self.now()).clamp(0, 3_600_000);
        Some(Duration::from_millis(wait.unsigned_abs()))
    }
}

/// A clock that stands still until it is moved: for tests.
pub struct ManualClock {
    state: Mutex<ManualState>,
}

struct ManualState {
    now: i64,
    listeners: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl ManualClock {
    /// A clock that shows `now`, in milliseconds since the Unix epoch.
    pub fn new(now: i64) -> Self {
        Self { state: Mutex::new(ManualState { now, listeners: Vec::new() }) }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let now = self.lock().now;
        self.set(now.saturating_add(by));
    }

    /// Sets it, forward or back.
    pub fn set(&self, now: i64) {
        let mut state = self.lock();
        state.now = now;
        for tell in &state.listeners {
            tell();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.lock().now
    }

    fn until(&self, time: i64) -> Option<Duration> {
        (time <= self.now()).then_some(Duration::ZERO)
    }

    fn on_move(&self, tell: Box<dyn Fn() + Send + Sync>) {
        self.lock().listeners.push(tell);
    }
}
