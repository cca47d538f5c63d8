-- Rows of bulk forms are kept as keyed hashes only: a source's row ids may say who it is.
-- depends: 0004_payments_reversed_facts

-- migrate: apply

-- The key of the hashes (shared/chassis row_keys.py): with the rows, so that it is never lost
-- without them. Rows taken in under a lost key would be taken in once more.
CREATE TABLE row_secret (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    secret bytea NOT NULL CHECK (octet_length(secret) = 32)
);
INSERT INTO row_secret (secret)
SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- Rows that were taken in: the same again is skipped, another content refused.
CREATE TABLE taken_row (
    row_key bytea PRIMARY KEY,
    content_hash bytea NOT NULL,
    result_id uuid,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO taken_row (row_key, content_hash, result_id, recorded_at)
SELECT sha256(s.secret || sha256(convert_to(r.form, 'UTF8'))
              || sha256(convert_to(r.source, 'UTF8')) || sha256(convert_to(r.row_id, 'UTF8'))),
       sha256(s.secret || sha256(convert_to(r.row_id, 'UTF8')) || sha256(r.content_hash)),
       r.result_id, r.recorded_at
FROM imported_row r CROSS JOIN row_secret s;

-- The table goes with its file; dropped columns would stay readable in it.
DROP TABLE imported_row;

-- migrate: rollback

-- The ids cannot be had back: rows that come again would be taken in again.
CREATE TABLE imported_row (
    form text NOT NULL,
    source text NOT NULL,
    row_id text NOT NULL,
    content_hash bytea NOT NULL,
    result_id uuid,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (form, source, row_id)
);
DROP TABLE taken_row, row_secret;
