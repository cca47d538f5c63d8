-- A month is published when its numbers have come to rest, or have not for a minute.
-- depends: 0003_reporting_stays

-- migrate: apply

ALTER TABLE dirty_month
    ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();

-- migrate: rollback

ALTER TABLE dirty_month DROP COLUMN since, DROP COLUMN changed_at;
