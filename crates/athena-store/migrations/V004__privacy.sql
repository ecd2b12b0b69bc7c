-- One row: the key that the personal data of this store is tokenised with.
CREATE TABLE privacy_key (
    id BIGINT PRIMARY KEY,
    fingerprint VARCHAR(16) NOT NULL,
    -- The key of the tokens, sealed, where it came from an older key than this one.
    token_key BLOB,
    -- The key that a rotation under way moves from.
    previous VARCHAR(16),
    -- Whether that rotation makes new tokens too.
    retokenise BOOLEAN NOT NULL,
    changed_at TIMESTAMP NOT NULL
);

-- What tokens stand for, sealed, for those who may have it back.
CREATE TABLE pii_vault (
    project VARCHAR(255) NOT NULL,
    token VARCHAR(64) NOT NULL,
    -- The key that it is sealed with.
    fingerprint VARCHAR(16) NOT NULL,
    sealed BLOB NOT NULL,
    -- The token that takes its place, while a rotation makes new ones.
    renewed VARCHAR(64),
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (project, token)
);

-- Who did what that must not go unseen. Rows are added and never changed, but for what a purge takes.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY,
    at TIMESTAMP NOT NULL,
    principal VARCHAR(200) NOT NULL,
    action VARCHAR(50) NOT NULL,
    project VARCHAR(255),
    subject VARCHAR(255),
    reason TEXT,
    outcome VARCHAR(50) NOT NULL
);

CREATE INDEX audit_log_subject ON audit_log (subject);
