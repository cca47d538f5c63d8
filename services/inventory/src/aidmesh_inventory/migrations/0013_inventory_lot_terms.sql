-- What was entered wrong of a lot can be corrected; what it said before is kept.
-- depends: 0012_inventory_reversed_receipts

-- migrate: apply

ALTER TABLE lot ADD COLUMN version int NOT NULL DEFAULT 1;
CREATE TABLE lot_correction (
    lot_id uuid NOT NULL REFERENCES lot,
    version int NOT NULL,
    expiry date,
    restriction jsonb,
    reason text NOT NULL,
    corrected_by uuid NOT NULL,
    corrected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lot_id, version)
);
COMMENT ON TABLE lot_correction IS 'The terms of a lot up to this version, and why they changed.';

-- migrate: rollback

DROP TABLE lot_correction;
ALTER TABLE lot DROP COLUMN version;
