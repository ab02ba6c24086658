//! The waker of the function inside the driver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake},
};

use futures_util::task::AtomicWaker;

/// Remembers that the function was woken, and wakes the task of the driver only if that sleeps.
pub(super) struct ProgramWaker {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl ProgramWaker {
    /// A waker that has been woken: the function is to be polled a first time.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { woken: AtomicBool::new(true), task: AtomicWaker::new() })
    }

    /// Whether the function was woken since it was asked last.
    pub(super) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Has the task woken from now on, at once if the function is woken already.
    pub(super) fn sleep(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
        if self.woken.load(Ordering::Acquire) {
            self.task.wake();
        }
    }

    /// The task is awake: it looks for itself whether the function was woken.
    pub(super) fn awake(&self) {
        self.task.take();
    }
}

impl Wake for ProgramWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }
}
