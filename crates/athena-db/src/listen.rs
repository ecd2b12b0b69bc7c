//! Notifications: hints that something may have changed, the same on every backend.
//!
//! PostgreSQL carries them between processes (`NOTIFY`). Elsewhere they reach the listeners of
//! this process at once, and other processes learn of a change by looking: SQLite is asked every
//! [`POLL_INTERVAL`] whether somebody else has committed, MySQL cannot tell and wakes every
//! listener. So a listener is never sure to be told and may be woken for nothing; it looks for
//! itself, and is merely spared most of the looking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::params;
use crate::sqlite::Changes;

/// How often a database without notifications of its own is asked for changes.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Notifications that wait for a slow listener; it is told to look for itself when there are more.
const BACKLOG: usize = 256;

/// The longest name of a channel in bytes: that of an identifier on PostgreSQL.
const LONGEST_CHANNEL: usize = 63;

/// The longest payload in bytes: PostgreSQL's.
const LONGEST_PAYLOAD: usize = 7999;

/// A hint that something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Somebody said this on the channel.
    Said(String),
    /// Something may have been missed: look for yourself.
    Look,
}

/// The notifications of one channel; see [`Database::listen`](crate::Database::listen).
#[derive(Debug)]
pub struct Notifications {
    channel: String,
    receiver: broadcast::Receiver<Notification>,
    /// Keeps what feeds the channel alive.
    _feed: Option<Arc<Feed>>,
}

impl Notifications {
    /// Returns the name of the channel.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Waits for the next notification; `None` when the database was closed.
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Notification> {
        match self.receiver.recv().await {
            Ok(notification) => Some(notification),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notification::Look),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A task that feeds listeners; it ends with the last of them.
#[derive(Debug)]
pub(crate) struct Feed(tokio::task::AbortHandle);

impl Feed {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The listeners of a database, by channel.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    channels: Mutex<HashMap<String, broadcast::Sender<Notification>>>,
    /// What tells all channels of other processes, while anybody listens.
    feed: Mutex<Weak<Feed>>,
}

impl Bus {
    /// Adds a listener.
    pub(crate) fn subscribe(&self, channel: &str, feed: Option<Arc<Feed>>) -> Notifications {
        let receiver = self
            .channels()
            .entry(channel.to_owned())
            .or_insert_with(|| broadcast::channel(BACKLOG).0)
            .subscribe();
        Notifications {
            channel: channel.to_owned(),
            receiver,
            _feed: feed,
        }
    }

    /// Returns the feed that runs, or the one that `start` makes.
    pub(crate) fn feed(&self, start: impl FnOnce() -> Feed) -> Arc<Feed> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.upgrade().unwrap_or_else(|| {
            let started = Arc::new(start());
            *feed = Arc::downgrade(&started);
            started
        })
    }

    /// Tells the listeners of a channel.
    pub(crate) fn publish(&self, channel: &str, payload: &str) {
        self.tell(channel, Notification::Said(payload.to_owned()));
    }

    /// Tells everybody to look.
    pub(crate) fn publish_look(&self) {
        let mut channels = self.channels();
        channels.retain(|_, sender| sender.receiver_count() > 0);
        for sender in channels.values() {
            let _ = sender.send(Notification::Look);
        }
    }

    /// Ends all listening.
    pub(crate) fn close(&self) {
        self.channels().clear();
        let feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feed.upgrade() {
            feed.0.abort();
        }
    }

    fn tell(&self, channel: &str, notification: Notification) {
        let mut channels = self.channels();
        if let Some(sender) = channels.get(channel)
            && sender.send(notification).is_err()
        {
            channels.remove(channel);
        }
    }

    fn channels(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<String, broadcast::Sender<Notification>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes every listener when somebody else has committed to an SQLite file.
pub(crate) async fn watch_commits(bus: Arc<Bus>, mut changes: Changes) {
    while changes.next(POLL_INTERVAL).await.is_ok() {
        bus.publish_look();
    }
}

/// Wakes every listener again and again, for a database that cannot tell.
#[cfg(feature = "mysql")]
pub(crate) async fn watch_blindly(bus: Arc<Bus>) {
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        bus.publish_look();
    }
}

/// Checks a channel's name.
pub(crate) fn check_channel(channel: &str) -> Result<()> {
    if channel.is_empty() || channel.len() > LONGEST_CHANNEL || channel.contains('\0') {
        return Err(Error::mismatch(
            "the channel",
            format!("a name of 1 to {LONGEST_CHANNEL} bytes"),
            format!("{} bytes", channel.len()),
        ));
    }
    Ok(())
}

/// Checks what is to be said on a channel.
pub(crate) fn check(channel: &str, payload: &str) -> Result<()> {
    check_channel(channel)?;
    if payload.len() > LONGEST_PAYLOAD || payload.contains('\0') {
        return Err(Error::mismatch(
            "the payload",
            format!("text of at most {LONGEST_PAYLOAD} bytes"),
            format!("{} bytes", payload.len()),
        ));
    }
    Ok(())
}

/// Says something through PostgreSQL.
pub(crate) async fn notify(db: &impl Executor, channel: &str, payload: &str) -> Result<()> {
    let sql = "SELECT pg_notify(:channel, :payload)";
    let params = params! { channel: channel, payload: payload };
    db.fetch_rows(sql, params, 1).await.map(drop)
}
