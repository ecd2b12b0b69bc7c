-- How much a rule or a preference matters, 1 to 10; none where nobody said.
ALTER TABLE memory_vectors ADD COLUMN priority INTEGER;

-- The paths that it is about, as a pattern; none where it holds everywhere.
ALTER TABLE memory_vectors ADD COLUMN scope VARCHAR(500);

-- When another one took its place; for rows of earlier versions, when that one was stored.
ALTER TABLE memory_vectors ADD COLUMN superseded_at TIMESTAMP;

-- Lists are ordered by id: whatever they are narrowed to, the newest must be found without sorting.
-- This one also holds what a list of all is narrowed to, so that rows need not be read for it.
CREATE INDEX memory_vectors_newest ON memory_vectors
    (project_id, id, forgotten_at, consolidation_state, occurred_at, created_at);
CREATE INDEX memory_vectors_newest_domain ON memory_vectors (project_id, domain, id);
CREATE INDEX memory_vectors_newest_session ON memory_vectors (project_id, session_id, id);
CREATE INDEX memory_vectors_newest_state ON memory_vectors (project_id, consolidation_state, id);

-- Current ones are counted with every look at a project.
CREATE INDEX memory_vectors_live ON memory_vectors (project_id, live_key);
