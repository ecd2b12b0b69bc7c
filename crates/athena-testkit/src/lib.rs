//! What tests share: a fresh store on every backend, an application around it, a clock that obeys.
//!
//! A behaviour is a *story*: one async function that is told to every backend by [`story!`]. A
//! missing server fails the story, unless `ATHENA_TEST_BACKEND=sqlite` asks for the narrow run.

#![allow(clippy::missing_panics_doc, reason = "a test fails by panicking")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod clock;
mod log;

pub use app::{TestApp, open_process, privacy, privacy_with_keys};
pub use athena_core::Code;
pub use athena_memory::memories::SearchMode;
pub use athena_testdb::{TestStore, mysql_url, postgres_url};
pub use clock::FixedClock;
pub use log::logged_records;
pub use serde_json::json;

/// Tells a story to every backend, as one test each: `name::sqlite`, `name::postgres` and
/// `name::mysql`.
///
/// ```text
/// story! {
///     /// What is remembered is found.
///     async fn found_again(app: TestApp) {
///         app.remember("…").await;
///     }
/// }
/// ```
#[macro_export]
macro_rules! story {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a story need not use everything around it")]
            use super::*;

            async fn story($app: &$crate::TestApp) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let app = $crate::TestApp::on($crate::TestStore::sqlite().await).await;
                story(&app).await;
                app.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(store) = $crate::TestStore::postgres().await else { return };
                let app = $crate::TestApp::on(store).await;
                story(&app).await;
                app.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                let Some(store) = $crate::TestStore::mysql().await else { return };
                let app = $crate::TestApp::on(store).await;
                story(&app).await;
                app.finish().await;
            }
        }
    )+};
}
