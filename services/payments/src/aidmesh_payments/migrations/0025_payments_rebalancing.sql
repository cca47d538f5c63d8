-- Money that a grantor proposes to move from one holder to another, at grantor and holder.
-- depends: 0024_payments_paying_office

-- migrate: apply

-- At the grantor; the grant is locked before its proposals. `return_id` and `sending_id` are the
-- transfers by which the money came back and went on.
CREATE TABLE rebalancing (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL REFERENCES donor_grant,
    allotment_id uuid NOT NULL REFERENCES grant_allotment,
    holder text NOT NULL,
    to_region text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    reason text NOT NULL,
    lapses_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'proposed' CHECK (state IN (
        'proposed', 'declined', 'lapsed', 'withdrawn', 'returned', 'moved', 'kept')),
    proposed_by uuid,
    signed_by uuid,
    answer_version int NOT NULL DEFAULT 0 CHECK (answer_version >= 0),
    prepared_minor bigint CHECK (prepared_minor > 0),
    answer_reason text,
    returned_minor bigint CHECK (returned_minor > 0),
    credited_minor bigint CHECK (credited_minor >= 0),
    hindrance text,
    return_id uuid UNIQUE,
    sending_id uuid UNIQUE,
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (holder <> to_region),
    CHECK (signed_by <> proposed_by),
    CHECK (num_nulls(returned_minor, credited_minor, return_id) IN (0, 3)),
    CHECK (state NOT IN ('returned', 'moved', 'kept') OR returned_minor IS NOT NULL),
    CHECK ((state = 'moved') = (sending_id IS NOT NULL)),
    CHECK (state <> 'moved' OR signed_by IS NOT NULL),
    CHECK (hindrance IS NULL OR state IN ('returned', 'kept'))
);
CREATE INDEX rebalancing_by_age ON rebalancing (proposed_at, id);
CREATE INDEX rebalancing_grant ON rebalancing (grant_id);
CREATE INDEX rebalancing_due ON rebalancing (id)
    WHERE state = 'returned' AND signed_by IS NOT NULL AND hindrance IS NULL;

-- At the holder (`state` is its own decision) and at the region that would get the money (`state`
-- is NULL there); `told_state` is what the grantor said last.
CREATE TABLE return_ask (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL,
    allotment_id uuid NOT NULL,
    grantor text NOT NULL,
    holder text NOT NULL,
    to_region text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    reason text NOT NULL,
    lapses_at timestamptz NOT NULL,
    told_state text NOT NULL,
    told_version int NOT NULL CHECK (told_version > 0),
    state text CHECK (state IN (
        'asked', 'prepared', 'returned', 'declined', 'lapsed', 'withdrawn')),
    prepared_minor bigint CHECK (prepared_minor BETWEEN 1 AND amount_minor),
    prepared_by uuid,
    decided_by uuid,
    answer_reason text,
    version int NOT NULL DEFAULT 0 CHECK (version >= 0),
    return_id uuid UNIQUE,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((state = 'returned') = (return_id IS NOT NULL)),
    CHECK (state <> 'returned' OR (prepared_by <> decided_by AND prepared_minor IS NOT NULL)),
    CHECK (state <> 'prepared' OR (prepared_by IS NOT NULL AND prepared_minor IS NOT NULL))
);
CREATE INDEX return_ask_by_age ON return_ask (heard_at, id);
CREATE INDEX return_ask_open ON return_ask (lapses_at) WHERE state IN ('asked', 'prepared');

-- Holders were not told so far that what they returned was booked.
UPDATE transfer SET state = 'received' WHERE kind = 'return' AND state = 'in_transit';

-- migrate: rollback

DROP TABLE return_ask, rebalancing;
