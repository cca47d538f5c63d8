-- Whoever asked another region for goods may not want them any more.
-- depends: 0020_inventory_shipments

-- migrate: apply

ALTER TABLE transfer DROP CONSTRAINT transfer_state_check, ADD CONSTRAINT transfer_state_check
    CHECK (state IN ('asked', 'accepted', 'refused', 'withdrawn'));
CREATE INDEX shipment_transfer ON shipment (transfer_id) WHERE transfer_id IS NOT NULL;

-- migrate: rollback

DROP INDEX shipment_transfer;
UPDATE transfer SET state = 'refused', answer_reason = 'withdrawn' WHERE state = 'withdrawn';
ALTER TABLE transfer DROP CONSTRAINT transfer_state_check, ADD CONSTRAINT transfer_state_check
    CHECK (state IN ('asked', 'accepted', 'refused'));
