//! One connection that listens for all listeners of a database.
//!
//! It is made when somebody listens and goes with the last who does. When it breaks it is made
//! again, and everybody is told to look: what was said meanwhile is lost.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use super::connection::{Connection, Said};
use super::connector::Connector;
use super::error::translate;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::listen::{Bus, Feed};

/// The listener, if there is one.
#[derive(Debug, Default)]
pub(super) struct Listener(Mutex<Option<Line>>);

#[derive(Debug)]
struct Line {
    feed: Weak<Feed>,
    wishes: mpsc::UnboundedSender<Wish>,
}

/// A channel to listen to, and who wants to know whether it is listened to.
struct Wish {
    channel: String,
    answer: oneshot::Sender<Result<()>>,
}

/// How often to ask whether the server is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to answer, also to `LISTEN`.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pauses between attempts to connect again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Listener {
    /// Listens to a channel from now on, for as long as the feed is held.
    pub(super) async fn listen(
        &self,
        connector: &Arc<Connector>,
        bus: &Arc<Bus>,
        channel: &str,
    ) -> Result<Arc<Feed>> {
        if connector.is_pooled() {
            return Err(Error::unsupported(
                "listening through a pooler of transactions",
                Dialect::Postgres,
                "connect to the server itself",
            ));
        }
        let (answer, answered) = oneshot::channel();
        let channel = channel.to_owned();
        let feed = self.wish(connector, bus, Wish { channel, answer });
        answered.await.map_err(|_| Error::closed())??;
        Ok(feed)
    }

    /// Ends it for all.
    pub(super) fn close(&self) {
        self.line().take();
    }

    /// Hands a wish to the task that listens; starts it if there is none.
    fn wish(&self, connector: &Arc<Connector>, bus: &Arc<Bus>, wish: Wish) -> Arc<Feed> {
        let mut line = self.line();
        let running = line
            .as_ref()
            .and_then(|line| Some((line.feed.upgrade()?, line)));
        let wish = match running {
            None => wish,
            Some((feed, line)) => match line.wishes.send(wish) {
                Ok(()) => return feed,
                Err(unheard) => unheard.0,
            },
        };
        let (wishes, heard) = mpsc::unbounded_channel();
        // The receiver is still in our hands.
        let _ = wishes.send(wish);
        let task = Task {
            connector: Arc::clone(connector),
            bus: Arc::clone(bus),
            wishes: heard,
            channels: BTreeSet::new(),
        };
        let feed = Arc::new(Feed::spawn(task.run()));
        *line = Some(Line {
            feed: Arc::downgrade(&feed),
            wishes,
        });
        feed
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Option<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    connector: Arc<Connector>,
    bus: Arc<Bus>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    /// What is listened to.
    channels: BTreeSet<String>,
}

impl Task {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            match self.connect().await {
                Ok((connection, said)) => {
                    self.bus.publish_look();
                    if self.follow(connection, said).await.is_none() {
                        return;
                    }
                    self.bus.publish_look();
                }
                Err(error) => {
                    if !self.refuse(&error) {
                        return;
                    }
                }
            }
            if started.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Connects and listens to what was listened to before.
    async fn connect(&self) -> Result<(Connection, mpsc::UnboundedReceiver<Said>)> {
        let (sender, said) = mpsc::unbounded_channel();
        let connection = self.connector.connect_to_listen(sender).await?;
        for channel in &self.channels {
            listen(&connection, channel).await?;
        }
        Ok((connection, said))
    }

    /// Passes on what is said until the connection is lost; `None` when nobody is there any more.
    async fn follow(
        &mut self,
        connection: Connection,
        mut said: mpsc::UnboundedReceiver<Said>,
    ) -> Option<()> {
        let mut ping = tokio::time::interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                said = said.recv() => match said {
                    Some(said) => self.bus.publish(&said.channel, &said.payload),
                    None => return Some(()),
                },
                wish = self.wishes.recv() => {
                    let wish = wish?;
                    let listening = listen(&connection, &wish.channel).await;
                    let is_lost = listening.as_ref().is_err_and(Error::is_connection);
                    if listening.is_ok() {
                        self.channels.insert(wish.channel);
                    }
                    // Whoever does not wait any more does not listen either.
                    let _ = wish.answer.send(listening);
                    if is_lost {
                        return Some(());
                    }
                }
                _ = ping.tick() => {
                    let answer = connection.client().check_connection();
                    if !matches!(tokio::time::timeout(PATIENCE, answer).await, Ok(Ok(()))) {
                        return Some(());
                    }
                }
            }
        }
    }

    /// Tells those who wait why they cannot listen; `false` when nobody is left.
    fn refuse(&mut self, error: &Error) -> bool {
        loop {
            match self.wishes.try_recv() {
                Ok(wish) => {
                    let again = Error::new(error.kind().clone(), error.to_string());
                    let _ = wish.answer.send(Err(again));
                }
                Err(mpsc::error::TryRecvError::Empty) => return !self.channels.is_empty(),
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
        }
    }
}

async fn listen(connection: &Connection, channel: &str) -> Result<()> {
    let text = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
    let listening = connection.client().batch_execute(&text);
    let answer = tokio::time::timeout(PATIENCE, listening).await;
    answer
        .map_err(|_| Error::silent(PATIENCE))?
        .map_err(|error| translate(&error))
}

#[cfg(test)]
mod tests {
    use super::super::Postgres;
    use super::*;
    use crate::database::Settings;
    use crate::listen::{Notification, Notifications};

    async fn say(postgres: &Postgres, channel: &str, payload: &str) {
        let text = format!("SELECT pg_notify('{channel}', '{payload}')");
        let lease = postgres.acquire().await.unwrap();
        lease
            .run_alone(crate::plan::Work::Batch(text))
            .await
            .unwrap();
    }

    /// Passes over the requests to look, and tells whether there was one.
    async fn hear(notifications: &mut Notifications) -> (bool, String) {
        let mut looked = false;
        loop {
            match notifications.next().await.unwrap() {
                Notification::Look => looked = true,
                Notification::Said(said) => return (looked, said),
            }
        }
    }

    #[tokio::test]
    async fn listeners_share_a_connection_that_comes_back() {
        let Some(mut server) = athena_testserver::Postgres::start() else {
            return;
        };
        let postgres = Postgres::open(&server.url(), &Settings::default()).await;
        let (postgres, bus) = (postgres.unwrap(), Arc::new(Bus::default()));
        let mut listeners = Vec::new();
        for channel in ["a", "b \"x\""] {
            let feed = postgres.listen(&bus, channel).await.unwrap();
            listeners.push(bus.subscribe(channel, Some(feed)));
        }
        say(&postgres, "a", "one").await;
        say(&postgres, "b \"x\"", "two").await;
        assert_eq!(hear(&mut listeners[0]).await, (false, "one".to_owned()));
        assert_eq!(hear(&mut listeners[1]).await, (false, "two".to_owned()));

        server.kill();
        server.restart();
        // Told to look when it broke, and when it stands again: then nothing more is missed.
        for listener in &mut listeners {
            for _ in 0..2 {
                assert_eq!(listener.next().await, Some(Notification::Look));
            }
        }
        say(&postgres, "a", "three").await;
        assert_eq!(hear(&mut listeners[0]).await, (false, "three".to_owned()));

        drop(listeners);
        let listening = postgres
            .listener
            .line()
            .as_ref()
            .unwrap()
            .feed
            .strong_count();
        assert_eq!(listening, 0);
        server.kill();
        let refused = postgres.listen(&bus, "a").await;
        assert!(refused.unwrap_err().is_connection());
    }
}
