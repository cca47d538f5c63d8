-- What is not to come any more is not expected; what comes after its bill cost what that asks for.
-- depends: 0036_inventory_canceled_purchases

-- migrate: apply

CREATE TABLE purchase_to_come (
    purchase_id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    is_to_come boolean NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE purchase_to_come IS
    'Purchases of which payments said that all has come, or that more is to come after all.';
COMMENT ON COLUMN purchase_to_come.version IS 'Of the purchase; the highest one holds.';
COMMENT ON COLUMN purchase_to_come.is_to_come IS 'Whether what has not come in is expected.';
COMMENT ON COLUMN purchase_to_come.heard_at IS 'When it was told.';

CREATE TABLE purchase_price (
    purchase_id uuid NOT NULL,
    item text NOT NULL,
    version int NOT NULL CHECK (version >= 0),
    unit_value_minor bigint NOT NULL CHECK (unit_value_minor >= 0),
    PRIMARY KEY (purchase_id, item)
);
COMMENT ON TABLE purchase_price IS
    'What one piece cost, where a bill or a person says something else than the order.';
COMMENT ON COLUMN purchase_price.version IS
    'Of the purchase, when its bill said so; the highest one holds. 0 where only a person did.';

-- What came of a purchase is found without reading all receipts.
CREATE INDEX receipt_purchase ON receipt (purchase_id) WHERE purchase_id IS NOT NULL;

-- migrate: rollback

DROP INDEX receipt_purchase;
DROP TABLE purchase_price, purchase_to_come;
