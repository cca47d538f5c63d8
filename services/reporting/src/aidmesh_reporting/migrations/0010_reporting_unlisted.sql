-- Who waits no longer is told of, so waiting needs are counted exactly.
-- depends: 0009_reporting_settlements

-- migrate: apply

-- 0 where the event was told before it carried the version of its need.
ALTER TABLE waiting ADD COLUMN version int NOT NULL DEFAULT 0 CHECK (version >= 0);

-- The last word that a need waits no longer; it may come before the word that it waits.
CREATE TABLE unlisted (
    need_id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0)
);

-- migrate: rollback

DROP TABLE unlisted;
ALTER TABLE waiting DROP COLUMN version;
