-- Alerts over areas, and since when a site's pick-up clocks stand still.
-- depends: 0008_inventory_slot_index

-- migrate: apply

CREATE TABLE alert (
    id uuid PRIMARY KEY,
    area text NOT NULL CHECK (area ~ '^UA[0-9]{2,10}$'),
    reason text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    began_by uuid NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX alert_one_per_area ON alert (area) WHERE ended_at IS NULL;

-- Set while the site is closed or under alert, to when the first of them began.
ALTER TABLE site ADD COLUMN still_since timestamptz;
UPDATE site SET still_since = closed_at WHERE status = 'closed';
ALTER TABLE site ADD CHECK (status = 'open' OR still_since IS NOT NULL);

-- migrate: rollback

ALTER TABLE site DROP COLUMN still_since;
DROP TABLE alert;
