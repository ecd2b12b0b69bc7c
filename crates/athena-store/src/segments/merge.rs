//! Merging segments: eight small ones are slower to search than one.

use super::publish::{Place, publish};
use super::sql::{self, SegmentRow};
use crate::store::Store;
use athena_core::{Env, Error, ProjectId, Result};
use athena_search::segment::Segment;
use std::sync::Arc;

/// How many neighbours become one.
const FAN_IN: usize = 8;

/// Merges eight neighbours of a size into one, as long as there are any.
///
/// A segment of eight times the smallest size is not merged further: a purge rewrites a segment.
pub(crate) async fn merge_small(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    let small = env.part::<Store>().seal_at;
    while let Some(head) = sql::head(env.db(), project).await? {
        let rows = sql::segments(env.db(), project, 0).await?;
        let Some(run) = run_of_small(&rows, small) else {
            return Ok(());
        };
        let mut parts = Vec::with_capacity(run.len());
        for row in run {
            parts.push(sql::segment(env.db(), project, row).await?);
        }
        let old = run.iter().map(|row| row.id).collect();
        let merged = tokio::task::spawn_blocking(move || Segment::merge(&parts))
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)?;
        if !publish(env, project, merged, head.purged, Place::Segments(old)).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// The first neighbours that are to be merged, given how many passages the smallest segments have.
fn run_of_small(rows: &[SegmentRow], small: i64) -> Option<&[SegmentRow]> {
    let large = small * 4;
    rows.windows(FAN_IN)
        .find(|run| run.iter().all(|row| row.passages < large))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(passages: &[i64]) -> Vec<SegmentRow> {
        let row = |(id, passages): (i64, &i64)| SegmentRow {
            id,
            first_seq: id * 100,
            last_seq: id * 100 + 99,
            passages: *passages,
        };
        (1..).zip(passages).map(row).collect()
    }

    #[test]
    fn eight_small_neighbours_are_merged() {
        let small = 100;
        assert!(run_of_small(&rows(&[small; 7]), small).is_none());
        assert_eq!(run_of_small(&rows(&[small; 9]), small).unwrap()[0].id, 1);
        let mut sizes = vec![8 * small];
        sizes.extend([small; 8]);
        assert_eq!(run_of_small(&rows(&sizes), small).unwrap()[0].id, 2);
    }
}
