-- Of aid that was entered after it was given inventory tells where it counts and who bore it.
-- depends: 0011_reporting_links

-- migrate: apply

-- Such a need has one service. `area` is NULL where no site is known for it.
CREATE TABLE booked_fact (
    need_id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    area text
);
CREATE TABLE booked_share (
    need_id uuid NOT NULL REFERENCES booked_fact,
    position int NOT NULL,
    grant_id uuid,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    PRIMARY KEY (need_id, position)
);

-- migrate: rollback

DROP TABLE booked_share, booked_fact;
