//! Limits of time for one wait after the other.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is set and stays so. To set one for every statement and to take it back costs more
/// than the limit is worth: nearly all of them end long before it.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Mutex<Option<Pin<Box<Sleep>>>>);

impl Alarm {
    /// Waits for something, but only until `end`; then it returns `None`.
    pub(crate) fn until<F: Future>(
        &self,
        end: Instant,
        mut something: Pin<&mut F>,
    ) -> impl Future<Output = Option<F::Output>> {
        poll_fn(move |context| match something.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(end, context).map(|()| None),
        })
    }

    /// The timer may have been set for an earlier wait, and is set anew when it has run down.
    fn poll(&self, end: Instant, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn every_wait_ends_at_its_own_time() {
        let alarm = Alarm::default();
        let hour = Duration::from_secs(3600);
        for limit in [3, 30, 0, 10].map(Duration::from_millis) {
            // One that ends by itself leaves the timer as it is.
            let soon = pin!(tokio::time::sleep(Duration::from_millis(1)));
            assert_eq!(alarm.until(Instant::now() + hour, soon).await, Some(()));
            let end = Instant::now() + limit;
            assert_eq!(alarm.until(end, pin!(pending::<()>())).await, None);
            assert!(Instant::now() >= end);
        }
        assert_eq!(
            alarm.until(Instant::now(), pin!(async { 7 })).await,
            Some(7)
        );
    }
}
