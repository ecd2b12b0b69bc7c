-- Embedding spaces: vectors compare only within one row of this table.
CREATE TABLE embedding_models (
    id INTEGER PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    dim INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (name, dim)
);

-- Items whose vectors are still to come from a provider.
CREATE TABLE embed_queue (
    kind INTEGER NOT NULL,
    item_id BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    PRIMARY KEY (kind, item_id)
);

CREATE INDEX embed_queue_due ON embed_queue (kind, next_attempt_at);
