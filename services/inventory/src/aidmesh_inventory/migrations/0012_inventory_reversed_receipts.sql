-- Goods that were entered by mistake go out of the books again.
-- depends: 0011_inventory_check_outs

-- migrate: apply

ALTER TABLE lot ADD COLUMN reversed_at timestamptz,
    ADD CHECK (reversed_at IS NULL OR status = 'blocked');
CREATE INDEX lot_receipt ON lot (receipt_id);

-- migrate: rollback

DROP INDEX lot_receipt;
ALTER TABLE lot DROP COLUMN reversed_at;
