-- what was answered to a POST that carried an Idempotency-Key
-- depends: 0001_messages

-- migrate: apply

-- Neither the key nor the body is kept: `id` is a hash of caller, route and key, `content_hash`
-- a hash of the content keyed by the caller's key, which only the caller knows. Answers hold ids
-- and no personal data. The row commits with the effect; rows are purged after 30 days.
CREATE TABLE idempotency (
    id           uuid        PRIMARY KEY,
    content_hash bytea       NOT NULL CHECK (octet_length(content_hash) = 32),
    status       smallint    NOT NULL CHECK (status BETWEEN 200 AND 299),
    location     text,
    body         bytea       NOT NULL,
    answered_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX idempotency_answered_at ON idempotency (answered_at);

-- migrate: rollback

DROP TABLE idempotency;
