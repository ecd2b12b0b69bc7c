-- The memories that a question finds by its words, the best first.
WITH words AS (
    SELECT value AS word FROM json_each(:words)
), hits AS (
    SELECT p.memory_id, sum(p.weight * :boost) AS score, count(*) AS matched
    FROM postings AS p
    JOIN words AS w ON w.word = p.word
    WHERE p.project_id = :project AND p.kind <> 'superseded'
    GROUP BY p.memory_id
    HAVING count(*) >= :at_least
)
SELECT m.id, m.content, m.kind, m.tags, m.importance, m.created_at,
       h.score * (1.0 + m.importance * 0.25) AS score, h.matched
FROM hits AS h
JOIN memories AS m ON m.id = h.memory_id AND m.live_key = 1
WHERE m.project_id = :project
  AND (:since IS NULL OR m.created_at >= :since)
  AND (:until IS NULL OR m.created_at < :until)
  AND m.state IN ('unconsolidated', 'consolidated', 'labile')
  AND NOT EXISTS (
      SELECT 1 FROM memory_relationships AS r
      WHERE r.from_id = m.id AND r.relation = 'superseded_by' -- the newer one is shown
  )
ORDER BY score DESC, m.id ASC
LIMIT :limit OFFSET :offset
