CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    -- The name that the agent calls itself.
    agent_id VARCHAR(200) NOT NULL,
    capabilities JSON NOT NULL,
    max_concurrent INTEGER NOT NULL,
    -- For how long one sign of life counts.
    lease_seconds INTEGER NOT NULL,
    metadata JSON,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    -- What the completed items took altogether.
    total_ms BIGINT NOT NULL,
    last_heartbeat_at TIMESTAMP NOT NULL,
    alive_until TIMESTAMP NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    removed_at TIMESTAMP,
    -- 1 while the agent is registered, NULL once it is removed.
    live_key INTEGER,
    UNIQUE (project_id, agent_id, live_key)
);

CREATE TABLE queue_items (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    queue VARCHAR(100) NOT NULL,
    title VARCHAR(500),
    payload JSON,
    -- A task that the item is about. Tasks are removed without asking the queue.
    task_id BIGINT,
    requires JSON NOT NULL,
    priority INTEGER NOT NULL,
    -- 10 less the priority, so that one ascending index gives out what is urgent first, then what
    -- is old.
    turn INTEGER NOT NULL,
    not_before TIMESTAMP,
    max_attempts INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state VARCHAR(20) NOT NULL,
    result JSON,
    last_error TEXT,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    UNIQUE (project_id, uid)
);

CREATE INDEX queue_items_turn ON queue_items (project_id, queue, state, turn, id);
CREATE INDEX queue_items_finished ON queue_items (project_id, finished_at);

CREATE TABLE leases (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    resource_kind VARCHAR(50) NOT NULL,
    resource_id VARCHAR(500) NOT NULL,
    -- The queue item that is leased; its id is the resource's too.
    item_id BIGINT REFERENCES queue_items (id) ON DELETE CASCADE,
    agent_id VARCHAR(200) NOT NULL,
    token UUID NOT NULL,
    acquired_at TIMESTAMP NOT NULL,
    heartbeat_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    attempt INTEGER NOT NULL,
    released_at TIMESTAMP,
    outcome VARCHAR(20),
    -- 1 while the lease is held, NULL once it has ended: one holder of a resource at a time.
    live_key INTEGER,
    UNIQUE (token),
    UNIQUE (project_id, resource_kind, resource_id, live_key)
);

CREATE INDEX leases_agent ON leases (project_id, agent_id, live_key, expires_at);
CREATE INDEX leases_item ON leases (item_id, live_key);
CREATE INDEX leases_expiry ON leases (live_key, expires_at);
