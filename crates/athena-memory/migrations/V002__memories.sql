-- One row a version. Vectors live in memory_passages, so that a row stays narrow.
CREATE TABLE memory_vectors (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    -- The uid of the first version: all versions of a memory share it.
    lineage UUID NOT NULL,
    version INTEGER NOT NULL,
    superseded_by BIGINT,
    update_reason TEXT,
    content TEXT NOT NULL,
    content_type VARCHAR(50) NOT NULL,
    content_hash VARCHAR(64) NOT NULL,
    memory_type VARCHAR(50) NOT NULL,
    domain VARCHAR(50) NOT NULL,
    tags JSON NOT NULL,
    metadata JSON,
    session_id VARCHAR(200),
    speaker VARCHAR(200),
    role VARCHAR(50),
    caption TEXT,
    position BIGINT,
    event_type VARCHAR(50),
    code_language VARCHAR(50),
    code_hash VARCHAR(64),
    source VARCHAR(500),
    agent VARCHAR(200),
    trust REAL NOT NULL,
    external_id VARCHAR(200),
    confidence REAL NOT NULL,
    usefulness_score REAL NOT NULL,
    access_count INTEGER NOT NULL,
    consolidation_state VARCHAR(50) NOT NULL,
    consolidated_at TIMESTAMP,
    occurred_at TIMESTAMP,
    valid_from TIMESTAMP,
    valid_until TIMESTAMP,
    expires_at TIMESTAMP,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    last_accessed TIMESTAMP,
    last_retrieved_at TIMESTAMP,
    forgotten_at TIMESTAMP,
    forget_reason TEXT,
    -- 1 while this version is current, NULL once it is superseded or forgotten.
    live_key INTEGER,
    UNIQUE (project_id, uid),
    UNIQUE (project_id, content_hash, live_key)
);

CREATE INDEX memory_vectors_lineage ON memory_vectors (lineage, version);
CREATE INDEX memory_vectors_state ON memory_vectors (project_id, consolidation_state, last_retrieved_at);
CREATE INDEX memory_vectors_type ON memory_vectors (project_id, memory_type);
CREATE INDEX memory_vectors_session ON memory_vectors (project_id, session_id, position);
CREATE INDEX memory_vectors_external ON memory_vectors (project_id, external_id);

CREATE TABLE memory_passages (
    memory_id BIGINT NOT NULL REFERENCES memory_vectors (id) ON DELETE CASCADE,
    model_id BIGINT NOT NULL,
    -- The passage's number from 0, or -1 for a caller's own embedding of the whole text.
    n INTEGER NOT NULL,
    -- Bytes of the indexed text.
    start_offset INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    -- Half-precision floats, little-endian.
    e BLOB NOT NULL,
    PRIMARY KEY (memory_id, model_id, n)
);

CREATE TABLE memory_relationships (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    from_memory_id BIGINT NOT NULL REFERENCES memory_vectors (id) ON DELETE CASCADE,
    to_memory_id BIGINT NOT NULL REFERENCES memory_vectors (id) ON DELETE CASCADE,
    relationship_type VARCHAR(50) NOT NULL,
    strength REAL NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (from_memory_id, to_memory_id, relationship_type)
);

CREATE INDEX memory_relationships_to ON memory_relationships (to_memory_id);

CREATE TABLE memory_feedback (
    id INTEGER PRIMARY KEY,
    memory_id BIGINT NOT NULL REFERENCES memory_vectors (id) ON DELETE CASCADE,
    useful BOOLEAN NOT NULL,
    note TEXT,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX memory_feedback_memory ON memory_feedback (memory_id);
