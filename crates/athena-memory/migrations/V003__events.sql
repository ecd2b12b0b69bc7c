-- One row an event: what happened, when, and with which outcome.
CREATE TABLE episodic_events (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    session_id VARCHAR(200),
    agent VARCHAR(200),
    source VARCHAR(500),
    idempotency_key VARCHAR(200),
    event_type VARCHAR(50) NOT NULL,
    content TEXT NOT NULL,
    outcome VARCHAR(50),
    -- The beginning of the span that it happened in; `time_precision` says how long the span is.
    occurred_at TIMESTAMP NOT NULL,
    time_precision VARCHAR(10) NOT NULL,
    duration_ms BIGINT,
    context_cwd VARCHAR(700),
    context_files JSON NOT NULL,
    context_task TEXT,
    context_phase VARCHAR(200),
    context_branch VARCHAR(255),
    files_changed BIGINT,
    lines_added BIGINT,
    lines_deleted BIGINT,
    file_path VARCHAR(700),
    symbol VARCHAR(500),
    language VARCHAR(50),
    diff TEXT,
    git_commit VARCHAR(64),
    git_author VARCHAR(500),
    test_name VARCHAR(500),
    test_passed BOOLEAN,
    error_type VARCHAR(200),
    stack_trace TEXT,
    learned TEXT,
    tags JSON NOT NULL,
    metadata JSON,
    surprise_score REAL,
    confidence REAL NOT NULL,
    evidence_type VARCHAR(50) NOT NULL,
    evidence_quality REAL,
    importance REAL NOT NULL,
    actionable BOOLEAN NOT NULL,
    uses BIGINT NOT NULL,
    last_used_at TIMESTAMP,
    caused_by BIGINT,
    consolidation_status VARCHAR(50) NOT NULL,
    consolidated_at TIMESTAMP,
    memory_vector_id BIGINT,
    -- Of what was said, without the time and the session.
    content_hash VARCHAR(64) NOT NULL,
    -- Of its source and its id there; empty without an id. Events of one source that have ids of
    -- their own are different ones, however alike they are.
    told_by VARCHAR(64) NOT NULL,
    -- Which ten minutes since 1970 it happened in.
    time_bucket BIGINT NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    removed_at TIMESTAMP,
    -- 1 while the event is there, NULL once it was removed.
    live_key INTEGER,
    UNIQUE (project_id, uid),
    UNIQUE (project_id, idempotency_key, live_key),
    UNIQUE (project_id, content_hash, time_bucket, told_by, live_key)
);

-- With what is often asked about all events, so that their rows need not be read for it.
CREATE INDEX episodic_events_time ON episodic_events
    (project_id, occurred_at, id, live_key, time_precision, duration_ms, event_type, outcome, surprise_score, language);
CREATE INDEX episodic_events_session ON episodic_events (project_id, session_id, occurred_at);
CREATE INDEX episodic_events_type ON episodic_events (project_id, event_type, occurred_at);
CREATE INDEX episodic_events_test ON episodic_events (project_id, test_name, occurred_at);
CREATE INDEX episodic_events_status ON episodic_events (project_id, consolidation_status, occurred_at);
CREATE INDEX episodic_events_agent ON episodic_events (project_id, agent, occurred_at);
CREATE INDEX episodic_events_symbol ON episodic_events (project_id, symbol, occurred_at);
CREATE INDEX episodic_events_cause ON episodic_events (caused_by);

-- The files that an event is about, one row a file: its own and those of its surroundings.
CREATE TABLE event_files (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    event_id BIGINT NOT NULL REFERENCES episodic_events (id) ON DELETE CASCADE,
    path VARCHAR(700) NOT NULL
);

CREATE INDEX event_files_path ON event_files (project_id, path);
CREATE INDEX event_files_event ON event_files (event_id);

-- What was measured.
CREATE TABLE event_metrics (
    id INTEGER PRIMARY KEY,
    event_id BIGINT NOT NULL REFERENCES episodic_events (id) ON DELETE CASCADE,
    name VARCHAR(100) NOT NULL,
    value REAL NOT NULL
);

CREATE INDEX event_metrics_event ON event_metrics (event_id);

-- How far each source of events was read.
CREATE TABLE event_source_cursors (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    source_id VARCHAR(500) NOT NULL,
    position JSON NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (project_id, source_id)
);
