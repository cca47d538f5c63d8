-- Rows of the form for confirmed starts and services, so that each counts once.
-- depends: 0006_intake_erasure

-- migrate: apply

-- The key of the hashes (docs/decisions/0014): such rows are taken in while intake is locked, so
-- it is not the master key that rows of imports are keyed with.
CREATE TABLE row_secret (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    secret bytea NOT NULL CHECK (octet_length(secret) = 32)
);
INSERT INTO row_secret (secret)
SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

CREATE TABLE taken_row (
    row_key bytea PRIMARY KEY,
    content_hash bytea NOT NULL,
    result_id uuid,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- migrate: rollback
DROP TABLE taken_row, row_secret;
