CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    path VARCHAR(700),
    description TEXT,
    language VARCHAR(50),
    framework VARCHAR(100),
    embedding_dim INTEGER NOT NULL,
    consolidation_interval INTEGER NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    last_accessed TIMESTAMP NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    -- 1 while the project exists, NULL afterwards: a deleted one does not block its name.
    live_key INTEGER,
    UNIQUE (name, live_key),
    UNIQUE (path, live_key)
);
