//! A request with an idempotency key is performed at most once.

use athena_core::{Code, Ctx, Error, Idempotency, Result};
use athena_db::{Executor, Tx, params};
use jiff::{SignedDuration, Timestamp};

/// How long an answer is kept.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Claims a key for this transaction, or returns what was answered to the same request before.
///
/// A second transaction with the key waits for the first at the insert, and sees its answer.
pub(crate) async fn claim(
    tx: &Tx<'_>,
    ctx: &Ctx,
    idempotency: &Idempotency,
) -> Result<Option<String>> {
    forget_expired(tx, ctx, idempotency).await?;
    let claimed = tx
        .execute(
            "INSERT INTO idempotency_keys (principal, idempotency_key, request_hash, created_at)
             VALUES (:principal, :key, :request_hash, :now)
             ON CONFLICT (principal, idempotency_key) DO NOTHING",
            params! {
                principal: &ctx.caller().principal,
                key: &idempotency.key,
                request_hash: &idempotency.request_hash,
                now: ctx.now(),
            },
        )
        .await?;
    if claimed == 1 {
        return Ok(None);
    }
    let (request_hash, response): (String, Option<String>) = tx
        .fetch_one(
            "SELECT request_hash, response FROM idempotency_keys
             WHERE principal = :principal AND idempotency_key = :key",
            params! { principal: &ctx.caller().principal, key: &idempotency.key },
        )
        .await?;
    if request_hash != idempotency.request_hash {
        return Err(Error::new(
            Code::IdempotencyMismatch,
            "this idempotency key was used with another request; use a new key for a new request",
        ));
    }
    Ok(response)
}

async fn forget_expired(tx: &Tx<'_>, ctx: &Ctx, idempotency: &Idempotency) -> Result<()> {
    tx.execute(
        "DELETE FROM idempotency_keys
         WHERE principal = :principal AND idempotency_key = :key AND created_at < :oldest",
        params! { principal: &ctx.caller().principal, key: &idempotency.key, oldest: oldest(ctx.now()) },
    )
    .await?;
    Ok(())
}

/// Keeps the answer to a claimed key.
pub(crate) async fn answer(
    tx: &Tx<'_>,
    ctx: &Ctx,
    idempotency: &Idempotency,
    response: String,
) -> Result<()> {
    tx.execute(
        "UPDATE idempotency_keys SET response = :response
         WHERE principal = :principal AND idempotency_key = :key",
        params! {
            response: response,
            principal: &ctx.caller().principal,
            key: &idempotency.key,
        },
    )
    .await?;
    Ok(())
}

/// Removes every answer that is older than a day.
pub(crate) async fn sweep(db: &impl Executor, now: Timestamp) -> Result<u64> {
    Ok(db
        .execute(
            "DELETE FROM idempotency_keys WHERE created_at < :oldest",
            params! { oldest: oldest(now) },
        )
        .await?)
}

/// Removes the answers to keys like a pattern: to those that hold tokens, when there are new ones,
/// for the same keys are others then.
pub(crate) async fn forget_like(db: &impl Executor, pattern: &str) -> Result<u64> {
    Ok(db
        .execute(
            "DELETE FROM idempotency_keys WHERE idempotency_key LIKE :pattern",
            params! { pattern: pattern },
        )
        .await?)
}

fn oldest(now: Timestamp) -> Timestamp {
    now.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN)
}
