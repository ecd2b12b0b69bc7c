//! A pool of connections to a server, whatever the server is.
//!
//! First come, first served: a connection that comes back goes to whoever has waited for longest.
//! Where nobody waits it goes to a rack of the thread's shard, and threads do not meet.
//! A connection that has idled is looked at before it is lent, and one that broke is replaced
//! unseen. One whose statement was abandoned half-way never comes back: its next user would read
//! the answer of the one before.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tracing::{Level, Span};

use crate::alarm::Alarm;
use crate::database::Settings;
use crate::error::{Error, Holder, Result};
use crate::plan::Plan;
use crate::shard::Sharded;

/// How connections of one kind are made and looked after.
pub(crate) trait Manage: Send + Sync + Sized + 'static {
    /// A connection; dropping it closes it.
    type Conn: Send + 'static;

    /// Makes a connection, ready for statements, within a time of its own.
    fn connect(&self) -> impl Future<Output = Result<Self::Conn>> + Send;

    /// Whether a connection is not known to be broken; asked without a round trip.
    fn is_usable(&self, conn: &Self::Conn) -> bool;

    /// Asks the server whether the connection still stands.
    fn ping(&self, conn: &mut Self::Conn) -> impl Future<Output = bool> + Send;

    /// How long a connection may idle and be lent without a look at it: long, where a closed one
    /// is noticed by itself.
    fn trust(&self) -> Duration {
        TRUSTED
    }

    /// Gets rid of a connection that cannot be lent again, perhaps with a statement under way.
    fn abandon(&self, conn: Self::Conn) {
        drop(conn);
    }
}

/// How many connections there may be, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    least: usize,
    most: usize,
    patience: Duration,
    lifetime: Option<Duration>,
    idle: Option<Duration>,
    /// How long a statement may run, as the server is told.
    statement: Option<Duration>,
}

/// Connections in numbers.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) size: usize,
    pub(crate) idle: usize,
    pub(crate) waiting: usize,
    pub(crate) oldest: Option<Holder>,
}

/// The pool; with it goes the task that looks after it.
#[derive(Debug)]
pub(crate) struct Pool<M: Manage> {
    shared: Arc<Shared<M>>,
    near: Sharded<Near<M>>,
    keeper: AbortHandle,
}

/// A connection in use; dropping it gives it back.
pub(crate) struct Lease<M: Manage> {
    shared: Near<M>,
    /// Gone when it was given back.
    place: Option<Place<M::Conn>>,
    flights: AtomicUsize,
}

/// A statement on its way. Dropping it without [`Flight::land`] condemns the connection.
#[must_use = "a flight that does not land condemns its connection"]
pub(crate) struct Flight<'a>(&'a AtomicUsize);

/// What leases share, counted once more by those of each shard, who so do not fight over the count.
type Near<M> = Arc<Arc<Shared<M>>>;

#[derive(Debug)]
struct Shared<M: Manage> {
    manager: M,
    limits: Limits,
    /// Connections that nobody uses, in each rack the last used at the end; so the superfluous ones
    /// grow old. Whoever has the state may take a rack, and never the other way round.
    racks: Sharded<Rack<M>>,
    state: Mutex<State<M>>,
    /// How many wait, kept beside the state for those who need not look into it.
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// Tells those who wait for the end that a place was given up.
    emptied: Notify,
}

struct State<M: Manage> {
    /// Whoever waits for a place; some may have given up.
    waiting: VecDeque<Waiter<M>>,
    /// One for each place, taken or idle.
    desks: Vec<Arc<Desk>>,
}

struct Rack<M: Manage>(Mutex<Vec<Idle<M::Conn>>>);

/// Somebody in the queue.
type Waiter<M> = oneshot::Sender<Lease<M>>;

/// The right to have a connection, and the connection once it is made.
struct Place<C> {
    desk: Arc<Desk>,
    member: Option<Box<Member<C>>>,
}

/// A connection; boxed, because it goes from hand to hand and drivers make large ones.
struct Member<C> {
    conn: C,
    alarm: Alarm,
    retires: Option<Instant>,
}

struct Idle<C> {
    place: Place<C>,
    since: Instant,
    /// Whether another one was found broken meanwhile: then this one may be as well.
    doubted: bool,
}

/// Where whoever uses a place writes down what for.
#[derive(Debug, Default)]
pub(crate) struct Desk(Mutex<Option<Occupant>>);

#[derive(Debug)]
struct Occupant {
    since: Instant,
    plan: Option<Arc<Plan>>,
}

enum Turn<M: Manage> {
    /// A place, and since when its connection has idled if that says anything.
    Now(Place<M::Conn>, Option<Instant>),
    Later(oneshot::Receiver<Lease<M>>),
}

/// What is trusted of a connection whose end is noticed.
const TRUSTED: Duration = Duration::from_secs(5);

/// How long the look may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        let most = settings.max_connections.max(1);
        Self {
            least: settings.min_connections.min(most),
            most,
            patience: settings.acquire_timeout,
            lifetime: settings.max_lifetime,
            idle: settings.idle_timeout,
            statement: settings.statement_timeout,
        }
    }

    /// How often to look for connections that are too old.
    fn round(&self) -> Option<Duration> {
        let shortest = self.lifetime.into_iter().chain(self.idle).min()?;
        Some((shortest / 2).clamp(Duration::from_millis(10), Duration::from_secs(30)))
    }

    /// When a new connection is to be replaced: not all that were made together at once.
    fn retirement(&self) -> Option<Instant> {
        let share = rand::random_range(0.9..=1.0);
        Some(Instant::now() + self.lifetime?.mul_f64(share))
    }
}

impl<M: Manage> Pool<M> {
    /// Makes a pool with its first connections: a server that is not there is known at once.
    pub(crate) async fn open(manager: M, limits: Limits) -> Result<Self> {
        let shared = Arc::new(Shared {
            manager,
            limits,
            racks: Sharded::new(Rack::new),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                desks: Vec::new(),
            }),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            emptied: Notify::new(),
        });
        let keeper = tokio::spawn(keep(Arc::downgrade(&shared), limits.round())).abort_handle();
        let near = Sharded::new(|| Arc::new(Arc::clone(&shared)));
        let pool = Self {
            shared,
            near,
            keeper,
        };
        try_join_all((0..limits.least.max(1)).map(|_| pool.acquire())).await?;
        Ok(pool)
    }

    /// Takes a connection, waiting for it if need be.
    pub(crate) async fn acquire(&self) -> Result<Lease<M>> {
        let started = Instant::now();
        let near = self.near.here();
        let (mut lease, idle_since) = match Shared::turn(near, started)? {
            Turn::Now(place, since) => (Lease::of(near, place), since),
            Turn::Later(turn) => (
                Box::pin(self.shared.wait(turn, started)).await?,
                Some(Instant::now()),
            ),
        };
        if !lease.is_fresh(started, idle_since) {
            Box::pin(lease.refresh()).await?;
        }
        if tracing::enabled!(target: "athena_db", Level::DEBUG) {
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            Span::current().record("wait_us", micros);
        }
        Ok(lease)
    }

    /// Takes a connection that idles and is in order, if there is one.
    pub(crate) fn try_acquire(&self) -> Option<Lease<M>> {
        let now = Instant::now();
        let (place, idle_since) = self.shared.idle_place(now)?;
        let lease = Lease::of(self.near.here(), place);
        lease.is_fresh(now, idle_since).then_some(lease)
    }

    /// Refuses further calls and waits for connections in use to come back, but no longer than
    /// `grace`.
    pub(crate) async fn close(&self, grace: Duration) -> Result<()> {
        self.keeper.abort();
        self.shared.shut();
        let deadline = tokio::time::Instant::now() + grace;
        loop {
            let mut emptied = std::pin::pin!(self.shared.emptied.notified());
            emptied.as_mut().enable();
            let stats = self.stats();
            if stats.size == 0 {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, emptied).await.is_err() {
                return Err(Error::still_in_use(grace, stats.size, stats.oldest));
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<M: Manage> Drop for Pool<M> {
    fn drop(&mut self) {
        self.keeper.abort();
        self.shared.shut();
    }
}

impl<M: Manage> Shared<M> {
    fn state(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place if one is free, else a number in the queue.
    fn turn(near: &Near<M>, now: Instant) -> Result<Turn<M>> {
        if let Some((place, since)) = near.idle_place(now) {
            return Ok(Turn::Now(place, since));
        }
        let mut state = near.state();
        if near.closed.load(Ordering::SeqCst) {
            return Err(Error::closed());
        }
        if state.desks.len() < near.limits.most {
            return Ok(Turn::Now(state.new_place(now), None));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        near.count(&state);
        drop(state);
        // A connection may have come back before anybody could know of this one's waiting.
        Self::serve(near);
        Ok(Turn::Later(receiver))
    }

    /// Takes a place that idles, unless others wait for one; tells since when it has idled if that
    /// says anything.
    fn idle_place(&self, now: Instant) -> Option<(Place<M::Conn>, Option<Instant>)> {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let idle = self.take_idle()?;
        idle.place.desk.occupy(now);
        Some((idle.place, (!idle.doubted).then_some(idle.since)))
    }

    /// Takes what was used last, if possible on this thread, whose cache it then is in.
    fn take_idle(&self) -> Option<Idle<M::Conn>> {
        self.racks.all().find_map(|rack| rack.lock().pop())
    }

    /// Hands connections that idle to those who wait.
    fn serve(near: &Near<M>) {
        while let Some((next, place)) = near.pair() {
            let refused = next.send(Lease::of(near, place)).err();
            if let Some(place) = refused.and_then(|mut lease| lease.place.take()) {
                near.put(place);
            }
        }
    }

    /// Takes whoever is to be served next, and a place for them.
    fn pair(&self) -> Option<(Waiter<M>, Place<M::Conn>)> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return None;
        }
        let idle = self.take_idle()?;
        let next = state.waiting.pop_front()?;
        self.count(&state);
        idle.place.desk.occupy(Instant::now());
        Some((next, idle.place))
    }

    /// Notes how many wait, after every change of their number.
    fn count(&self, state: &State<M>) {
        self.waiting.store(state.waiting.len(), Ordering::SeqCst);
    }

    async fn wait(&self, turn: oneshot::Receiver<Lease<M>>, started: Instant) -> Result<Lease<M>> {
        let _place = InQueue(self);
        match tokio::time::timeout(self.limits.patience, turn).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(_)) => Err(Error::closed()),
            Err(_) => Err(Error::pool_exhausted(
                started.elapsed(),
                self.stats().oldest,
            )),
        }
    }

    /// Gives a place back.
    fn give_back(near: &Near<M>, place: Place<M::Conn>) {
        if place.member.is_none() {
            return Self::give_on(near, place);
        }
        near.put(place);
        if near.waiting.load(Ordering::SeqCst) > 0 {
            Self::serve(near);
        }
    }

    /// Puts a place onto the rack; where the pool was closed meanwhile, its connection goes.
    fn put(&self, place: Place<M::Conn>) {
        place.desk.leave();
        let mut rack = self.racks.here().lock();
        // Whoever closes the pool clears the racks afterwards.
        if self.closed.load(Ordering::SeqCst) {
            drop(rack);
            return self.give_up(place);
        }
        rack.push(Idle {
            place,
            since: Instant::now(),
            doubted: false,
        });
    }

    /// Hands a place without a connection to whoever waits, or gives it up.
    fn give_on(near: &Near<M>, mut place: Place<M::Conn>) {
        while let Some(next) = near.next_in_queue() {
            place.desk.occupy(Instant::now());
            let refused = next.send(Lease::of(near, place)).err();
            match refused.and_then(|mut lease| lease.place.take()) {
                Some(again) => place = again,
                None => return,
            }
        }
        near.give_up(place);
    }

    fn next_in_queue(&self) -> Option<Waiter<M>> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        self.count(&state);
        next
    }

    fn give_up(&self, place: Place<M::Conn>) {
        self.state().give_up(&place.desk);
        self.emptied.notify_waiters();
    }

    /// Refuses further calls, sends those who wait away, and closes what idles.
    fn shut(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        self.count(&state);
        drop(state);
        drop(waiting);
        for rack in self.racks.all() {
            let idle = std::mem::take(&mut *rack.lock());
            idle.into_iter().for_each(|idle| self.give_up(idle.place));
        }
    }

    async fn answers(&self, conn: &mut M::Conn) -> bool {
        self.manager.is_usable(conn)
            && tokio::time::timeout(PING_TIMEOUT, self.manager.ping(conn)).await == Ok(true)
    }

    /// Mistrusts all connections that idle now: one of them is broken.
    fn doubt(&self) {
        for rack in self.racks.all() {
            rack.lock().iter_mut().for_each(|idle| idle.doubted = true);
        }
    }

    fn stats(&self) -> Stats {
        let state = self.state();
        Stats {
            size: state.desks.len(),
            idle: self.racks.all().map(|rack| rack.lock().len()).sum(),
            waiting: state
                .waiting
                .iter()
                .filter(|waiting| !waiting.is_closed())
                .count(),
            oldest: state
                .desks
                .iter()
                .filter_map(|desk| desk.holder())
                .max_by_key(|holder| holder.held),
        }
    }

    /// Takes out what has idled or lived for too long; the least number is kept.
    fn superfluous(&self) -> Vec<Place<M::Conn>> {
        let now = Instant::now();
        let mut state = self.state();
        let mut gone = Vec::new();
        for rack in self.racks.all() {
            let mut rack = rack.lock();
            for idle in std::mem::take(&mut *rack) {
                if self.is_superfluous(&idle, state.desks.len(), now) {
                    state.give_up(&idle.place.desk);
                    gone.push(idle.place);
                } else {
                    rack.push(idle);
                }
            }
        }
        gone
    }

    /// Whether a connection is not worth keeping where there are `size` of them.
    fn is_superfluous(&self, idle: &Idle<M::Conn>, size: usize, now: Instant) -> bool {
        let time = now.saturating_duration_since(idle.since);
        let bored = self.limits.idle.is_some_and(|limit| time >= limit);
        idle.place.is_retired(now) || (bored && size > self.limits.least)
    }

    /// Returns a place to fill if there are fewer than the least number.
    fn vacancy(&self) -> Option<Place<M::Conn>> {
        let mut state = self.state();
        let wanted = state.desks.len() < self.limits.least && !self.closed.load(Ordering::SeqCst);
        wanted.then(|| state.new_place(Instant::now()))
    }
}

impl<M: Manage> State<M> {
    fn new_place(&mut self, now: Instant) -> Place<M::Conn> {
        let desk = Arc::<Desk>::default();
        desk.occupy(now);
        self.desks.push(Arc::clone(&desk));
        Place { desk, member: None }
    }

    fn give_up(&mut self, desk: &Arc<Desk>) {
        self.desks.retain(|other| !Arc::ptr_eq(other, desk));
    }
}

impl<C> Place<C> {
    fn is_retired(&self, now: Instant) -> bool {
        self.member
            .as_ref()
            .is_some_and(|member| member.is_retired(now))
    }
}

impl<M: Manage> Rack<M> {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle<M::Conn>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Manage> Lease<M> {
    fn of(near: &Near<M>, place: Place<M::Conn>) -> Self {
        Self {
            shared: Arc::clone(near),
            place: Some(place),
            flights: AtomicUsize::new(0),
        }
    }

    /// Returns the connection.
    pub(crate) fn conn(&self) -> &M::Conn {
        &self.member().conn
    }

    /// Returns the alarm of the connection, for one wait at a time.
    pub(crate) fn alarm(&self) -> &Alarm {
        &self.member().alarm
    }

    fn member(&self) -> &Member<M::Conn> {
        let member = self.place.as_ref().and_then(|place| place.member.as_ref());
        member.expect("a lease is filled before it is lent")
    }

    /// How long to wait for a connection.
    pub(crate) fn patience(&self) -> Duration {
        self.shared.limits.patience
    }

    /// How long a statement may run.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.shared.limits.statement
    }

    /// Notes that a statement starts, of which plan if it has one.
    pub(crate) fn take_off(&self, plan: Option<&Arc<Plan>>) -> Flight<'_> {
        if let (Some(place), Some(plan)) = (&self.place, plan) {
            place.desk.note(plan);
        }
        self.flights.fetch_add(1, Ordering::SeqCst);
        Flight(&self.flights)
    }

    /// Whether a statement is under way, or was abandoned half-way.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.flights.load(Ordering::SeqCst) > 0
    }

    /// Closes the connection instead of giving it back.
    pub(crate) fn discard(mut self) {
        if let Some(place) = &mut self.place {
            place.member = None;
        }
    }

    fn is_fresh(&self, now: Instant, idle_since: Option<Instant>) -> bool {
        let member = self.place.as_ref().and_then(|place| place.member.as_ref());
        member.is_some_and(|member| {
            !member.is_retired(now)
                && idle_since
                    .is_some_and(|since| now.duration_since(since) < self.shared.manager.trust())
                && self.shared.manager.is_usable(&member.conn)
        })
    }

    /// Makes sure that the connection stands, or makes another.
    async fn refresh(&mut self) -> Result<()> {
        let Some(place) = &mut self.place else {
            return Err(Error::closed());
        };
        let shared = &self.shared;
        // It is in nobody's hands meanwhile: if this future is dropped, it is closed.
        let member = place.member.take();
        if let Some(mut member) = member.filter(|member| !member.is_retired(Instant::now())) {
            if shared.answers(&mut member.conn).await {
                place.member = Some(member);
                return Ok(());
            }
            shared.doubt();
        }
        place.member = Some(Box::new(Member {
            conn: shared.manager.connect().await?,
            alarm: Alarm::default(),
            retires: shared.limits.retirement(),
        }));
        Ok(())
    }
}

impl<M: Manage> Drop for Lease<M> {
    fn drop(&mut self) {
        let Some(mut place) = self.place.take() else {
            return;
        };
        let manager = &self.shared.manager;
        if let Some(member) = place.member.take() {
            if self.is_in_flight() {
                manager.abandon(member.conn);
            } else if manager.is_usable(&member.conn) {
                place.member = Some(member);
            } else {
                self.shared.doubt();
                manager.abandon(member.conn);
            }
        }
        Shared::give_back(&self.shared, place);
    }
}

impl<M: Manage> std::fmt::Debug for Lease<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Lease")
            .field("flights", &self.flights)
            .finish_non_exhaustive()
    }
}

impl<M: Manage> std::fmt::Debug for Rack<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let idle = self.lock().len();
        formatter.debug_struct("Rack").field("idle", &idle).finish()
    }
}

impl<M: Manage> std::fmt::Debug for State<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("size", &self.desks.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Flight<'_> {
    /// Notes that the statement was awaited to its end.
    pub(crate) fn land(self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<C> Member<C> {
    fn is_retired(&self, now: Instant) -> bool {
        self.retires.is_some_and(|retires| now >= retires)
    }
}

impl Desk {
    fn occupant(&self) -> MutexGuard<'_, Option<Occupant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn occupy(&self, since: Instant) {
        *self.occupant() = Some(Occupant { since, plan: None });
    }

    pub(crate) fn leave(&self) {
        *self.occupant() = None;
    }

    pub(crate) fn note(&self, plan: &Arc<Plan>) {
        if let Some(occupant) = &mut *self.occupant() {
            occupant.plan = Some(Arc::clone(plan));
        }
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        let occupant = self.occupant();
        let occupant = occupant.as_ref()?;
        let plan = occupant.plan.as_ref();
        Some(Holder {
            sql: plan.map_or_else(String::new, |plan| plan.fingerprint().1.clone()),
            held: occupant.since.elapsed(),
        })
    }
}

/// Somebody who waits; leaving, they clear the queue of those who gave up.
struct InQueue<'a, M: Manage>(&'a Shared<M>);

impl<M: Manage> Drop for InQueue<'_, M> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting.retain(|waiting| !waiting.is_closed());
        self.0.count(&state);
    }
}

/// Closes what is too old and keeps the least number open, for as long as there is a pool.
async fn keep<M: Manage>(pool: Weak<Shared<M>>, round: Option<Duration>) {
    let Some(round) = round else { return };
    loop {
        tokio::time::sleep(round).await;
        let Some(pool) = pool.upgrade() else { return };
        drop(pool.superfluous());
        while let Some(place) = pool.vacancy() {
            let near = Arc::new(Arc::clone(&pool));
            if Lease::of(&near, place).refresh().await.is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
