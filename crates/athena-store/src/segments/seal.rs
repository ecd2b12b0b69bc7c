//! Sealing the tail of a log.

use super::publish::{Place, publish, remove_abandoned, remove_orphans, remove_tail};
use super::sql;
use crate::store::Store;
use athena_core::{Env, Error, ProjectId, Result};
use athena_search::Record;
use athena_search::segment::Segment;
use std::sync::Arc;

/// Turns the tail of a project into segments; what is left of it is shorter than a segment.
pub(crate) async fn seal(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    let enough = env.part::<Store>().seal_at;
    while let Some(head) = sql::head(env.db(), project).await? {
        // Left by a process that was killed.
        remove_tail(env, project, head.sealed_seq).await?;
        remove_abandoned(env, project).await?;
        remove_orphans(env, project).await?;
        let mut rows = sql::tail_records(env.db(), project, head.sealed_seq, 2 * enough).await?;
        let Some(length) = stretch(&rows, enough) else {
            return Ok(());
        };
        rows.truncate(length);
        let segment = tokio::task::spawn_blocking(move || build(head.sealed_seq + 1, rows))
            .await
            .map_err(Error::internal)??;
        publish(env, project, segment, head.purged, Place::Tail).await?;
    }
    Ok(())
}

fn build(first: i64, rows: Vec<(i64, Record)>) -> Result<Segment> {
    let last = rows.last().map_or(first - 1, |(seq, _)| *seq);
    let records = rows.into_iter().map(|(_, record)| record);
    Segment::build(first, last, records).map_err(Error::internal)
}

/// How many rows make a segment: enough of them, and no item cut in two.
fn stretch(rows: &[(i64, Record)], enough: i64) -> Option<usize> {
    let enough = usize::try_from(enough).ok()?;
    let continues = |(_, record): &(i64, Record)| !matches!(record, Record::Passage { n: 1.., .. });
    let rest = rows.get(enough..)?;
    let more = rest.iter().position(continues).unwrap_or(rest.len());
    Some(enough + more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use athena_search::{Attributes, ItemRef, Kind};

    fn passage(id: i64, n: u32) -> (i64, Record) {
        let item = ItemRef {
            kind: Kind::MEMORY,
            id,
        };
        let attributes = (n == 0).then(Attributes::default);
        let record = Record::Passage {
            item,
            n,
            of: 3,
            attributes,
            terms: Vec::new(),
            len: 0,
            vector: None,
        };
        (id, record)
    }

    #[test]
    fn an_item_is_not_cut_in_two() {
        let enough = 4;
        let mut rows: Vec<_> = (1..enough).map(|id| passage(id, 0)).collect();
        assert_eq!(stretch(&rows, enough), None);
        rows.extend((0..3).map(|n| passage(enough, n)));
        assert_eq!(stretch(&rows, enough), Some(rows.len()));
        rows.push(passage(enough + 1, 0));
        assert_eq!(stretch(&rows, enough), Some(rows.len() - 1));
    }
}
