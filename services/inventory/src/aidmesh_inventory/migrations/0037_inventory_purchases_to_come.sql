-- What is not to come any more is not expected.
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

-- migrate: rollback

DROP TABLE purchase_to_come;
