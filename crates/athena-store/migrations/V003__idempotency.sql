-- What was answered to a request with an idempotency key, for a day.
CREATE TABLE idempotency_keys (
    principal VARCHAR(200) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    request_hash VARCHAR(64) NOT NULL,
    response TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (principal, idempotency_key)
);

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
