-- Who waits here for what, as intake tells it, and asks that are made for it.
-- depends: 0022_inventory_accept_rules

-- migrate: apply

CREATE TABLE waiting (
    key text PRIMARY KEY,
    item text NOT NULL,
    site_id uuid,
    area text,
    sensitive boolean NOT NULL,
    needs int NOT NULL CHECK (needs >= 0),
    quantity bigint NOT NULL CHECK (quantity >= 0),
    version int NOT NULL,
    as_of timestamptz NOT NULL
);
COMMENT ON TABLE waiting IS 'Copies of what intake tells of its waitlist: totals, no needs.';
CREATE INDEX waiting_item ON waiting (item);

CREATE TABLE ask_rule (
    id uuid PRIMARY KEY,
    item text NOT NULL REFERENCES item,
    to_site_id uuid NOT NULL REFERENCES site,
    regions text[] CHECK (cardinality(regions) > 0),
    open_max int NOT NULL CHECK (open_max > 0),
    sensitive_too boolean NOT NULL,
    set_at timestamptz NOT NULL,
    set_by uuid NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
COMMENT ON COLUMN ask_rule.sensitive_too IS 'Set by somebody who may see such needs.';
CREATE UNIQUE INDEX ask_rule_in_force ON ask_rule (item, to_site_id) WHERE ended_at IS NULL;

-- Proposals that a person set aside; they come again once they are for more.
CREATE TABLE proposal_aside (
    item text NOT NULL,
    site_id uuid,
    area text,
    sensitive boolean NOT NULL,
    from_region text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    set_at timestamptz NOT NULL,
    set_by uuid NOT NULL,
    UNIQUE NULLS NOT DISTINCT (item, site_id, area, sensitive, from_region)
);

CREATE INDEX receipt_lately ON receipt (recorded_at);

ALTER TABLE transfer
    ADD COLUMN ask_rule_id uuid REFERENCES ask_rule,
    ADD COLUMN over_at timestamptz;
COMMENT ON COLUMN transfer.ask_rule_id IS 'The rule that asked, where no person did.';
COMMENT ON COLUMN transfer.over_at IS 'When it was refused or withdrawn, as heard here.';
UPDATE transfer SET over_at = COALESCE(answered_at, asked_at)
WHERE state IN ('refused', 'withdrawn');
ALTER TABLE transfer ADD CHECK ((state IN ('refused', 'withdrawn')) = (over_at IS NOT NULL));

-- migrate: rollback

ALTER TABLE transfer DROP COLUMN ask_rule_id, DROP COLUMN over_at;
DROP INDEX receipt_lately;
DROP TABLE proposal_aside, ask_rule, waiting;
