-- how other regions stand, and what those that were declared lost said too late
-- depends: 0006_handoff_aggregates

-- migrate: apply

-- `ended`: the region that it was for was lost, or has retired, and will not answer.
ALTER TABLE handoff DROP CONSTRAINT handoff_status_check;
ALTER TABLE handoff ADD CONSTRAINT handoff_status_check
    CHECK (status IN ('waiting', 'settled', 'withdrawn', 'ended'));

-- Of the own region, too: it has to know when others hold it for lost.
CREATE TABLE region_standing (
    region text PRIMARY KEY,
    standing text NOT NULL CHECK (standing IN ('member', 'lost', 'retired')),
    epoch int NOT NULL CHECK (epoch > 0),
    since timestamptz NOT NULL,
    told_by text NOT NULL
);

-- The highest epoch that was heard of each region, where it is not 1.
CREATE TABLE region_epoch (
    region text PRIMARY KEY,
    epoch int NOT NULL CHECK (epoch > 1)
);

-- What came of an epoch that does not count any more: not applied, for people to look at.
CREATE TABLE conflict (
    event_id uuid PRIMARY KEY,
    durable text NOT NULL,
    region text NOT NULL,
    epoch int NOT NULL,
    event_type text NOT NULL,
    aggregate text NOT NULL,
    occurred_at timestamptz NOT NULL,
    arrived_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    closed_by uuid,
    note text,
    CHECK (num_nulls(closed_at, closed_by, note) IN (0, 3))
);
CREATE INDEX conflict_open ON conflict (arrived_at, event_id) WHERE closed_at IS NULL;

-- The epochs in which everything said before was told again.
CREATE TABLE told_epoch (epoch int PRIMARY KEY);

-- Whoever is younger than a declaration reads about it in the history.
CREATE TABLE service_born (at timestamptz NOT NULL DEFAULT now());
INSERT INTO service_born DEFAULT VALUES;

-- migrate: rollback

DROP TABLE service_born, told_epoch, conflict, region_epoch, region_standing;
UPDATE handoff SET status = 'withdrawn' WHERE status = 'ended';
ALTER TABLE handoff DROP CONSTRAINT handoff_status_check;
ALTER TABLE handoff ADD CONSTRAINT handoff_status_check
    CHECK (status IN ('waiting', 'settled', 'withdrawn'));
