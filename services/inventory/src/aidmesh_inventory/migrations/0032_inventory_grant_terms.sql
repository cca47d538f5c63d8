-- Goods follow the terms of the grant that bought them; what was given may have expired since.
-- depends: 0031_inventory_sites_of_facts

-- migrate: apply

CREATE TABLE grant_terms (
    grant_id uuid PRIMARY KEY,
    grantor text NOT NULL,
    terms_version int NOT NULL CHECK (terms_version > 0),
    restriction jsonb NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE grant_terms IS 'What grantors say of their grants; the highest version.';
COMMENT ON COLUMN grant_terms.heard_at IS 'When these terms came.';

ALTER TABLE purchase ADD COLUMN terms_version int NOT NULL DEFAULT 0;
ALTER TABLE lot ADD COLUMN terms_version int;
COMMENT ON COLUMN lot.terms_version IS
    'Of which version of its grant''s terms the restriction is; NULL where a person entered it.';
UPDATE lot SET terms_version = 0 FROM receipt r
WHERE r.id = lot.receipt_id AND r.purchase_id IS NOT NULL;
CREATE INDEX lot_terms ON lot (grant_id, terms_version) WHERE terms_version IS NOT NULL;
ALTER TABLE shipment_line ADD COLUMN terms_version int;

ALTER TABLE lot_correction ALTER COLUMN corrected_by DROP NOT NULL;
COMMENT ON COLUMN lot_correction.corrected_by IS 'NULL where the terms of its grant changed.';

-- Facts look for what was good on their day, holds for what is good today.
DROP INDEX lot_free;
CREATE INDEX lot_free ON lot (item, site_id) WHERE status <> 'blocked' AND on_hand > held;

-- migrate: rollback

DROP INDEX lot_free;
CREATE INDEX lot_free ON lot (item, site_id) WHERE status = 'available' AND on_hand > held;
DELETE FROM lot_correction WHERE corrected_by IS NULL;
ALTER TABLE lot_correction ALTER COLUMN corrected_by SET NOT NULL;
ALTER TABLE shipment_line DROP COLUMN terms_version;
DROP INDEX lot_terms;
ALTER TABLE lot DROP COLUMN terms_version;
ALTER TABLE purchase DROP COLUMN terms_version;
DROP TABLE grant_terms;
