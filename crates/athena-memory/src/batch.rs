//! Several things in one call: prepared on all cores, and each error says which of them it is about.

use athena_core::{Ctx, Error, Result};
use std::num::NonZero;

/// So many items are worth a thread.
const SHARE: usize = 32;

/// Prepares the items of a batch on all cores, in their order; the first that is refused refuses all.
/// `list` is the name of the field that holds them.
pub(crate) async fn prepare_all<T, U>(
    ctx: &Ctx,
    list: &'static str,
    items: Vec<T>,
    prepare: fn(&Ctx, T) -> Result<U>,
) -> Result<Vec<U>>
where
    T: Send + 'static,
    U: Send + 'static,
{
    let count = items.len();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(cores).max(SHARE);
    let mut items = items.into_iter();
    let mut threads = Vec::with_capacity(cores);
    for first in (0..count).step_by(share) {
        let own: Vec<T> = items.by_ref().take(share).collect();
        let ctx = ctx.clone();
        threads.push(tokio::task::spawn_blocking(move || {
            let indexed = (first..).zip(own);
            let prepared = indexed.map(|(index, item)| {
                prepare(&ctx, item).map_err(|error| in_item(list, error, index))
            });
            prepared.collect::<Result<Vec<U>>>()
        }));
    }
    let mut prepared = Vec::with_capacity(count);
    for thread in threads {
        prepared.extend(thread.await.map_err(Error::internal)??);
    }
    Ok(prepared)
}

/// Says which item of a batch an error is about.
pub(crate) fn in_item(list: &str, error: Error, index: usize) -> Error {
    if error.database().is_some() {
        return error;
    }
    let field = match error.field() {
        Some(field) => format!("{list}[{index}].{field}"),
        None => format!("{list}[{index}]"),
    };
    let message = format!("{list}[{index}]: {}", error.message());
    Error::new(error.code(), message).with_field(field)
}
