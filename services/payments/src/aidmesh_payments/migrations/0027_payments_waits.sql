-- Money that needs wait for, here and elsewhere, and what was sent for it.
-- depends: 0026_payments_lost_regions

-- migrate: apply

-- What the own intake tells: sums by key, the highest version holds.
CREATE TABLE waiting_money (
    key text PRIMARY KEY,
    programme text NOT NULL,
    currency char(3) NOT NULL,
    sensitive boolean NOT NULL,
    chosen boolean NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    version int NOT NULL CHECK (version > 0)
);

-- What each region told of it last, the own one too.
CREATE TABLE wait (
    region text NOT NULL,
    programme text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    chosen_minor bigint NOT NULL CHECK (chosen_minor >= 0),
    epoch int NOT NULL CHECK (epoch > 0),
    version int NOT NULL CHECK (version > 0),
    as_of timestamptz NOT NULL,
    PRIMARY KEY (region, programme, currency)
);

CREATE TABLE wait_aside (
    region text NOT NULL,
    programme text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    set_at timestamptz NOT NULL,
    set_by uuid NOT NULL,
    PRIMARY KEY (region, programme, currency)
);

-- Rules are never changed: one ends and another is set.
CREATE TABLE wait_rule (
    id uuid PRIMARY KEY,
    programme text,
    currency char(3) NOT NULL,
    regions text[] CHECK (cardinality(regions) > 0),
    keep_minor bigint NOT NULL CHECK (keep_minor >= 0),
    move_max_minor bigint NOT NULL CHECK (move_max_minor > 0),
    week_max_minor bigint NOT NULL CHECK (week_max_minor >= move_max_minor),
    chosen_only boolean NOT NULL,
    set_at timestamptz NOT NULL,
    set_by uuid NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
COMMENT ON COLUMN wait_rule.chosen_only IS 'For needs that somebody chose.';
COMMENT ON COLUMN wait_rule.programme IS 'NULL for all programmes.';
CREATE INDEX wait_rule_in_force ON wait_rule (id) WHERE ended_at IS NULL;

-- What was done for a wait, at the grantor: a transfer of unallotted money, or a proposal.
CREATE TABLE wait_move (
    id uuid PRIMARY KEY,
    region text NOT NULL,
    programme text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    wait_as_of timestamptz NOT NULL,
    transfer_id uuid REFERENCES transfer,
    rebalancing_id uuid REFERENCES rebalancing,
    rule_id uuid REFERENCES wait_rule,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(transfer_id, rebalancing_id) = 1)
);
COMMENT ON COLUMN wait_move.made_by IS 'A person, or who set the rule.';
CREATE INDEX wait_move_key ON wait_move (region, programme, currency);
CREATE INDEX wait_move_transfer ON wait_move (transfer_id) WHERE transfer_id IS NOT NULL;
CREATE INDEX wait_move_rebalancing ON wait_move (rebalancing_id) WHERE rebalancing_id IS NOT NULL;
CREATE INDEX wait_move_rule ON wait_move (rule_id, made_at) WHERE rule_id IS NOT NULL;

ALTER TABLE transfer ADD COLUMN arrived_at timestamptz;
COMMENT ON COLUMN transfer.arrived_at IS 'When it was heard that it is there; NULL if at once.';

-- migrate: rollback

ALTER TABLE transfer DROP COLUMN arrived_at;
DROP TABLE wait_move, wait_rule, wait_aside, wait, waiting_money;
