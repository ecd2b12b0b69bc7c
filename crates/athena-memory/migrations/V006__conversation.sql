CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    -- The name that whoever started it gave it.
    session_id VARCHAR(200) NOT NULL,
    agent VARCHAR(200),
    context JSON,
    started_at TIMESTAMP NOT NULL,
    last_active_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    principal VARCHAR(200) NOT NULL,
    UNIQUE (project_id, session_id)
);

CREATE INDEX sessions_active ON sessions (project_id, last_active_at);

CREATE TABLE threads (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    -- The name of a session.
    session_id VARCHAR(200),
    title VARCHAR(500),
    agent VARCHAR(200),
    metadata JSON,
    -- The number of the next message: who adds messages takes numbers here, in its transaction.
    next_seq BIGINT NOT NULL,
    summary TEXT,
    -- The last message that the summary covers; 0 for none.
    summary_to_seq BIGINT NOT NULL,
    summary_tokens BIGINT NOT NULL,
    last_message_at TIMESTAMP,
    archived_at TIMESTAMP,
    closed_at TIMESTAMP,
    expires_at TIMESTAMP,
    removed_at TIMESTAMP,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    -- 1 while the thread is there, NULL once it is removed.
    live_key INTEGER,
    UNIQUE (project_id, uid)
);

-- Lists are ordered by id: the newest must be found without sorting.
CREATE INDEX threads_newest ON threads (project_id, id);
CREATE INDEX threads_session ON threads (project_id, session_id);
CREATE INDEX threads_last ON threads (project_id, last_message_at);
CREATE INDEX threads_expiry ON threads (expires_at);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    thread_id BIGINT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    seq BIGINT NOT NULL,
    role VARCHAR(20) NOT NULL,
    content TEXT NOT NULL,
    name VARCHAR(200),
    tool_call_id VARCHAR(200),
    tool_calls JSON,
    model VARCHAR(200),
    tokens BIGINT NOT NULL,
    user_id VARCHAR(200),
    metadata JSON,
    occurred_at TIMESTAMP NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (thread_id, seq),
    UNIQUE (project_id, uid)
);
