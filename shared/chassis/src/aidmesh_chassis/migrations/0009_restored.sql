-- what a restore left open: outcomes since the backup that nobody can prove
-- depends: 0008_keys_told

-- migrate: apply

-- Each restore raised the region's epoch to this one.
CREATE TABLE restored (
    epoch int PRIMARY KEY,
    taken_at timestamptz NOT NULL,
    restored_at timestamptz NOT NULL DEFAULT now()
);

-- What may have gone on after the backup was taken, by its id: needs, and in payments what was to
-- be paid. Until a person has found out, no message about it is sent and nothing is paid.
CREATE TABLE unproven (
    id uuid PRIMARY KEY,
    about text NOT NULL CHECK (about IN ('need', 'payout', 'order', 'purchase')),
    since timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz,
    cleared_by uuid,
    note text,
    CHECK (num_nulls(cleared_at, cleared_by, note) IN (0, 3))
);
CREATE INDEX unproven_open ON unproven (since, id) WHERE cleared_at IS NULL;

-- migrate: rollback

DROP TABLE unproven, restored;
