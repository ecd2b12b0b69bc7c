-- Which models' vectors answer in a project, and which are being made.

-- The built-in model whose vectors everything has; none where nobody has looked.
ALTER TABLE search_heads ADD COLUMN builtin_id BIGINT;

-- Up to which item the built-in vectors are made anew.
ALTER TABLE search_heads ADD COLUMN builtin_to BIGINT NOT NULL DEFAULT 0;

-- The model whose vectors everything has or waits for.
ALTER TABLE search_heads ADD COLUMN model_id BIGINT;

-- The model that is to take its place.
ALTER TABLE search_heads ADD COLUMN next_id BIGINT;

-- Up to which item the queue was given what has no vectors of the next model.
ALTER TABLE search_heads ADD COLUMN queued_to BIGINT NOT NULL DEFAULT 0;

-- Up to which item the vectors of former models are removed; none where there is nothing to remove.
ALTER TABLE search_heads ADD COLUMN cleared_to BIGINT;
