-- What waits, as others of the region are told; what other regions have; offers by rule.
-- depends: 0016_intake_referrals

-- migrate: apply

-- What was told last of each key of the waitlist; the version numbers what is told.
CREATE TABLE waiting_told (
    key text PRIMARY KEY,
    resource text NOT NULL,
    code text NOT NULL,
    site_id uuid,
    area text,
    sensitive boolean NOT NULL,
    needs int NOT NULL,
    quantity bigint NOT NULL,
    version int NOT NULL
);

CREATE TABLE place_elsewhere (
    region text NOT NULL,
    site_id uuid NOT NULL,
    resource text NOT NULL CHECK (resource IN ('bed', 'slot')),
    code text NOT NULL,
    area text NOT NULL,
    first_on date NOT NULL,
    free_by_day int[] NOT NULL,
    epoch int NOT NULL,
    version int NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (region, site_id, resource, code)
);
COMMENT ON TABLE place_elsewhere IS 'Copies of what other regions tell of their free places.';

CREATE TABLE site_elsewhere (
    region text NOT NULL,
    site_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'closed')),
    epoch int NOT NULL,
    version int NOT NULL,
    PRIMARY KEY (region, site_id)
);

-- Kinds of need that are offered to other regions without a person; never changed, only ended.
CREATE TABLE refer_rule (
    id uuid PRIMARY KEY,
    kind text NOT NULL REFERENCES kind,
    regions text[] CHECK (cardinality(regions) > 0),
    open_max int NOT NULL CHECK (open_max > 0),
    hours int NOT NULL CHECK (hours > 0),
    set_at timestamptz NOT NULL,
    set_by uuid NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX refer_rule_in_force ON refer_rule (kind) WHERE ended_at IS NULL;

ALTER TABLE referral_out ADD COLUMN rule_id uuid REFERENCES refer_rule;
COMMENT ON COLUMN referral_out.rule_id IS 'By which rule; staff_id is who set it then.';
CREATE INDEX referral_out_rule ON referral_out (rule_id)
    WHERE rule_id IS NOT NULL AND status = 'offered';

-- migrate: rollback

ALTER TABLE referral_out DROP COLUMN rule_id;
DROP TABLE refer_rule, site_elsewhere, place_elsewhere, waiting_told;
