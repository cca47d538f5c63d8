-- Nothing is received for a purchase that was given up.
-- depends: 0035_inventory_untold

-- migrate: apply

CREATE TABLE canceled_purchase (
    purchase_id uuid PRIMARY KEY,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE canceled_purchase IS
    'Purchases that payments gave up, whether or not it is known here that they were ordered.';
COMMENT ON COLUMN canceled_purchase.heard_at IS 'When it was told.';

-- migrate: rollback

DROP TABLE canceled_purchase;
