-- What changed, in the order of the commits: for those who follow it. No row says what an item says.
CREATE TABLE changes (
    project_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    item_id BIGINT NOT NULL,
    -- The operation that changed it.
    operation VARCHAR(50) NOT NULL,
    principal VARCHAR(200) NOT NULL,
    at TIMESTAMP NOT NULL,
    PRIMARY KEY (project_id, seq)
);

CREATE INDEX changes_at ON changes (at);

-- The last number given out to a change.
ALTER TABLE search_heads ADD COLUMN change_seq BIGINT NOT NULL DEFAULT 0;
