-- When the pick-up clock of cash stands still.
-- depends: 0007_payments_nights

-- migrate: apply

-- A read copy of inventory's sites; the highest version wins.
CREATE TABLE site (
    id uuid PRIMARY KEY,
    area text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'closed')),
    version int NOT NULL,
    as_of timestamptz NOT NULL
);

-- Times in which no cash could be fetched: at a site that was closed, in an area under alert,
-- or anywhere, while this service was down. The end, once known, is final.
CREATE TABLE pause (
    id uuid PRIMARY KEY,
    site_id uuid,
    area text,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    CHECK (site_id IS NULL OR area IS NULL),
    CHECK (ended_at IS NOT NULL OR site_id IS NOT NULL OR area IS NOT NULL)
);
CREATE INDEX pause_open ON pause (began_at) WHERE ended_at IS NULL;
CREATE INDEX pause_ended ON pause (ended_at) WHERE ended_at IS NOT NULL;

-- When the clocks were last looked at; a long gap was downtime of ours.
CREATE TABLE pickup_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seen_at timestamptz NOT NULL
);

-- Where it is to be fetched, and from when for how long; `collect_by` is when that is over as
-- far as pauses were known.
ALTER TABLE commitment
    ADD COLUMN site_id uuid,
    ADD COLUMN area text,
    ADD COLUMN collect_from timestamptz,
    ADD COLUMN collect_days int CHECK (collect_days > 0),
    ADD CHECK ((collect_from IS NULL) = (collect_days IS NULL));
-- Of clocks that run already only the end is known: their last day is what pauses may extend.
UPDATE commitment SET collect_from = collect_by - interval '1 day', collect_days = 1
WHERE collect_by IS NOT NULL;

-- migrate: rollback

ALTER TABLE commitment
    DROP COLUMN site_id,
    DROP COLUMN area,
    DROP COLUMN collect_from,
    DROP COLUMN collect_days;
DROP TABLE pickup_clock, pause, site;
