//! A store that a process shares with others for as long as it runs.

use super::{Claim, Owner, Reply, ask};
use crate::commands::hook;
use crate::compose::{self, Store};
use crate::config::Settings;
use crate::project;
use athena_core::{Effect, Error, Masker, Registry, Result};
use athena_server::Performer;
use athena_store::{Background, Privacy};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use uuid::Uuid;

/// How often an owner is asked that does not answer yet.
const ATTEMPTS: usize = 5;
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Performs calls: by the owner while there is one, and from then on as the owner.
pub(crate) struct Shared {
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    privacy: Arc<Privacy>,
    principal: &'static str,
    project: String,
    own: Mutex<Option<Own>>,
}

/// A store that this process has opened.
struct Own {
    store: Store,
    background: Background,
    /// Unless another process owns the store.
    owner: Option<Owner>,
}

impl Shared {
    /// Prepares to perform calls of `principal`.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub(crate) fn new(
        settings: Settings,
        registry: Arc<Registry>,
        principal: &'static str,
    ) -> Result<Arc<Self>> {
        let directory = std::env::current_dir().unwrap_or_default();
        let privacy = compose::privacy(&settings)?;
        Ok(Arc::new(Self {
            project: project::choose(&settings, &directory).name,
            settings: Arc::new(settings),
            registry,
            privacy,
            principal,
            own: Mutex::new(None),
        }))
    }

    /// Finds the owner, or opens the store: whatever keeps it from being opened is told before the
    /// first call.
    ///
    /// # Errors
    ///
    /// As for [`Store::open`].
    pub(crate) async fn begin(&self) -> Result<()> {
        let input = serde_json::json!({"limit": 1});
        match self.ask("project.list", input, None).await? {
            Reply::Done(_) => Ok(()),
            // Another that begins at this moment is left to it.
            Reply::Nobody | Reply::Lost if Claim::is_taken(&self.settings) => Ok(()),
            Reply::Nobody | Reply::Lost => self.store().await.map(drop),
        }
    }

    /// Ends what this process owns.
    ///
    /// # Errors
    ///
    /// When closing the store fails.
    pub(crate) async fn end(&self) -> Result<()> {
        let Some(own) = self.own.lock().await.take() else {
            return Ok(());
        };
        if let Some(owner) = own.owner {
            owner.stop().await;
        }
        own.background.stop().await;
        own.store.close().await
    }

    /// Hands in what hooks kept, again and again, once this process has opened the store; an owner
    /// does it for those that have not.
    pub(crate) async fn keep_handing_in(&self) {
        loop {
            tokio::time::sleep(hook::SERVER_PAUSE).await;
            let own = self.own.lock().await;
            let store = own.as_ref().map(|own| own.store.clone());
            drop(own);
            if let Some(store) = store {
                hook::hand_in(&self.registry, &self.settings, &store).await;
            }
        }
    }

    async fn ask(
        &self,
        operation: &'static str,
        input: Value,
        key: Option<String>,
    ) -> Result<Reply> {
        let settings = Arc::clone(&self.settings);
        let (project, principal) = (self.project.clone(), self.principal);
        let asked = move || {
            ask(
                &settings,
                &project,
                principal,
                operation,
                &input,
                key.as_deref(),
            )
        };
        tokio::task::spawn_blocking(asked)
            .await
            .map_err(Error::internal)
    }

    /// Returns this process's own store, which is opened at the first need. From then on it is used.
    async fn store(&self) -> Result<Store> {
        let mut own = self.own.lock().await;
        if let Some(own) = &*own {
            return Ok(own.store.clone());
        }
        compose::prepare_home_for(&self.settings, &self.settings.database)?;
        let claim = Claim::take(&self.settings);
        let store = Store::open(&self.settings).await?;
        let owner = match claim {
            Some(claim) => {
                let (registry, env) = (Arc::clone(&self.registry), Arc::clone(store.env()));
                Some(Owner::start(claim, &self.settings, registry, env)?)
            }
            None => None,
        };
        *own = Some(Own {
            background: Background::start(store.env()),
            store: store.clone(),
            owner,
        });
        Ok(store)
    }

    async fn perform(
        self: Arc<Self>,
        operation: &'static str,
        input: Value,
        key: Option<String>,
    ) -> Result<Value> {
        let has_own = self.own.lock().await.is_some();
        let changes = self
            .registry
            .get(operation)
            .is_some_and(|entry| entry.spec.effect != Effect::Read);
        // Made again elsewhere, it answers what it did the first time.
        let key = key.or_else(|| (changes && !has_own).then(|| Uuid::now_v7().to_string()));
        if !has_own {
            for attempt in 0..ATTEMPTS {
                let reply = self.ask(operation, input.clone(), key.clone()).await?;
                if let Reply::Done(result) = reply {
                    return result;
                }
                // Whoever has the right to be the owner and does not answer yet is about to.
                if attempt + 1 == ATTEMPTS || !Claim::is_taken(&self.settings) {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        let store = self.store().await?;
        let ctx = store.ctx(self.principal);
        self.registry.call(operation, &ctx, input, key).await
    }
}

/// Gives calls to whom they belong.
pub(crate) struct Calls(pub(crate) Arc<Shared>);

impl Performer for Calls {
    fn perform(
        &self,
        operation: &'static str,
        input: Value,
        idempotency_key: Option<String>,
    ) -> BoxFuture<'static, Result<Value>> {
        let shared = Arc::clone(&self.0);
        Box::pin(shared.perform(operation, input, idempotency_key))
    }

    fn redact(&self, text: &str) -> String {
        self.0.privacy.redact(text).into_owned()
    }
}
