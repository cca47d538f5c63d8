-- Items are corrected with a version; the label of a bed that is out of use is free.
-- depends: 0013_inventory_lot_terms

-- migrate: apply

ALTER TABLE item ADD COLUMN version int NOT NULL DEFAULT 1;

ALTER TABLE bed DROP CONSTRAINT bed_site_id_label_key;
CREATE UNIQUE INDEX bed_label ON bed (site_id, label) WHERE status = 'active';
CREATE INDEX bed_at_site ON bed (site_id, room, label);

-- migrate: rollback

DROP INDEX bed_at_site, bed_label;
ALTER TABLE bed ADD CONSTRAINT bed_site_id_label_key UNIQUE (site_id, label);
ALTER TABLE item DROP COLUMN version;
