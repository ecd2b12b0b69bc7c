-- The durable log of the search engine: what was written last, row by row ...
CREATE TABLE search_tail (
    project_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    item_id BIGINT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (project_id, seq)
);

CREATE INDEX search_tail_item ON search_tail (project_id, kind, item_id);

-- ... and what was written before, sealed into immutable chunks.
CREATE TABLE search_segments (
    project_id BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    chunk BLOB NOT NULL,
    PRIMARY KEY (project_id, first_seq)
);

-- One row a project: the last sequence number given out, and the last one sealed.
CREATE TABLE search_heads (
    project_id BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    sealed_seq BIGINT NOT NULL
);
