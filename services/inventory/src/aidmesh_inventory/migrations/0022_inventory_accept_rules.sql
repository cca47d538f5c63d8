-- What other regions ask for may be accepted by rule.
-- depends: 0021_inventory_asks_withdrawn

-- migrate: apply

-- Rules are never changed: one ends and another is set, so that every answer can be explained.
CREATE TABLE accept_rule (
    id uuid PRIMARY KEY,
    item text REFERENCES item,
    site_id uuid REFERENCES site,
    regions text[] CHECK (cardinality(regions) > 0),
    keep_pieces int NOT NULL CHECK (keep_pieces >= 0),
    keep_days int NOT NULL CHECK (keep_days >= 0),
    ask_max int NOT NULL CHECK (ask_max > 0),
    week_max int NOT NULL CHECK (week_max >= ask_max),
    set_at timestamptz NOT NULL,
    set_by uuid NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
COMMENT ON COLUMN accept_rule.item IS 'NULL for all items.';
COMMENT ON COLUMN accept_rule.site_id IS 'Whose goods go; NULL for those of all open sites.';
COMMENT ON COLUMN accept_rule.keep_days IS 'What so many days of own need take stays, too.';
CREATE INDEX accept_rule_in_force ON accept_rule (id) WHERE ended_at IS NULL;

ALTER TABLE transfer
    ADD COLUMN by_rule boolean NOT NULL DEFAULT false,
    ADD COLUMN accept_rule_id uuid REFERENCES accept_rule;
COMMENT ON COLUMN transfer.by_rule IS 'No person answered; accept_rule_id says by which rule, here.';
CREATE INDEX transfer_by_rule ON transfer (accept_rule_id, answered_at)
    WHERE accept_rule_id IS NOT NULL;
CREATE INDEX transfer_promised ON transfer (item) WHERE state = 'accepted';

-- migrate: rollback

DROP INDEX transfer_promised;
ALTER TABLE transfer DROP COLUMN by_rule, DROP COLUMN accept_rule_id;
DROP TABLE accept_rule;
