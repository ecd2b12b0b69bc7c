-- What was sealed and logged in an earlier form is made anew from its items.
DROP TABLE search_segments;

DELETE FROM search_tail;

-- Sealed stretches of the log.
CREATE TABLE search_segments (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    -- How many passages it holds.
    passages BIGINT NOT NULL,
    -- Whether all of its chunks are there, so that it counts.
    ready BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX search_segments_project ON search_segments (project_id, first_seq);

-- The parts of segments, at most 1 MiB each where they can be cut.
CREATE TABLE search_chunks (
    project_id BIGINT NOT NULL,
    segment_id BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (project_id, segment_id, kind, part)
);

-- How often segments gave place to others.
ALTER TABLE search_heads ADD COLUMN replaced BIGINT NOT NULL DEFAULT 0;

-- How often something was taken out of the log for good.
ALTER TABLE search_heads ADD COLUMN purged BIGINT NOT NULL DEFAULT 0;

-- The form of everything in the log of the project; 0 where it is to be made anew.
ALTER TABLE search_heads ADD COLUMN format BIGINT NOT NULL DEFAULT 0;

UPDATE search_heads SET sealed_seq = seq;
