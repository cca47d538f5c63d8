-- When it was last looked at which offers lapse; a long gap was downtime of ours.
-- depends: 0018_intake_links

-- migrate: apply

CREATE TABLE offer_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seen_at timestamptz NOT NULL
);

-- migrate: rollback

DROP TABLE offer_clock;
