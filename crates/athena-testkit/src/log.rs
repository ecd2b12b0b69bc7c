//! What the search log of a store says.

use athena_db::{Database, Executor, params};
use athena_search::segment::{Chunk, ChunkKind, Segment};
use athena_search::{Record, record};

/// Returns every record of the search log, those of segments included.
pub async fn logged_records(db: &Database) -> Vec<Record> {
    let segments: Vec<(i64, i64, i64)> = db
        .fetch_all(
            "SELECT id, first_seq, last_seq FROM search_segments ORDER BY project_id, first_seq",
            params! {},
        )
        .await
        .unwrap();
    let mut records = Vec::new();
    for (id, first, last) in segments {
        let chunks: Vec<(i64, i64, Vec<u8>)> = db
            .fetch_all(
                "SELECT kind, part, bytes FROM search_chunks WHERE segment_id = :id",
                params! { id: id },
            )
            .await
            .unwrap();
        let chunks = chunks.into_iter().map(|(kind, part, bytes)| Chunk {
            kind: ChunkKind::from_number(kind).unwrap(),
            part: u32::try_from(part).unwrap(),
            bytes,
        });
        let segment = Segment::from_chunks(first, last, chunks.collect()).unwrap();
        records.extend(segment.records());
    }
    let tail: Vec<(i64, Vec<u8>)> = db
        .fetch_all(
            "SELECT seq, record FROM search_tail ORDER BY project_id, seq",
            params! {},
        )
        .await
        .unwrap();
    let tail = tail.iter().map(|(_, bytes)| record::decode(bytes).unwrap());
    records.extend(tail);
    records
}
