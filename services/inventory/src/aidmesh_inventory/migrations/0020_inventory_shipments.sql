-- Goods that are asked for, sent and counted between regions.
-- depends: 0019_inventory_lot_values

-- migrate: apply

CREATE TABLE transfer (
    id uuid PRIMARY KEY,
    from_region text NOT NULL,
    to_region text NOT NULL,
    item text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    to_site_id uuid NOT NULL,
    area text NOT NULL,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'accepted', 'refused')),
    accepted int CHECK (accepted > 0),
    answer_reason text,
    asked_at timestamptz NOT NULL,
    asked_by uuid,
    answered_at timestamptz,
    answered_by uuid,
    CHECK (from_region <> to_region),
    CHECK ((state = 'accepted') = (accepted IS NOT NULL)),
    CHECK ((state = 'refused') = (answer_reason IS NOT NULL))
);
COMMENT ON TABLE transfer IS 'A region in need asks another, which accepts or refuses.';
CREATE INDEX transfer_open ON transfer (from_region, id) WHERE state = 'asked';

-- `sent` is the sender's last word, `state` follows from it and from the lines that were counted.
CREATE TABLE shipment (
    id uuid PRIMARY KEY,
    from_region text NOT NULL,
    to_region text NOT NULL,
    from_site_id uuid NOT NULL,
    to_site_id uuid NOT NULL,
    transfer_id uuid,
    sent text NOT NULL CHECK (sent IN ('preparing', 'dispatched', 'cancelled')),
    state text NOT NULL
        CHECK (state IN ('preparing', 'dispatched', 'receiving', 'received', 'cancelled')),
    version int NOT NULL CHECK (version > 0),
    dispatched_on date,
    by_manifest boolean NOT NULL DEFAULT false,
    matched boolean NOT NULL DEFAULT true,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (from_region <> to_region),
    CHECK ((sent = 'dispatched') = (dispatched_on IS NOT NULL))
);
COMMENT ON COLUMN shipment.by_manifest IS 'Taken in by its manifest, before its event came.';
COMMENT ON COLUMN shipment.matched IS 'The event of its dispatch came.';
CREATE INDEX shipment_open ON shipment (state, id) WHERE state NOT IN ('received', 'cancelled');

CREATE TABLE shipment_line (
    shipment_id uuid NOT NULL REFERENCES shipment,
    line_id uuid NOT NULL,
    lot_id uuid REFERENCES lot,
    item text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    batch text,
    expiry date,
    grant_id uuid,
    restriction jsonb,
    unit_value_minor bigint NOT NULL CHECK (unit_value_minor >= 0),
    currency char(3) NOT NULL,
    good int CHECK (good >= 0),
    damaged int CHECK (damaged >= 0),
    short int CHECK (short >= 0),
    surplus int CHECK (surplus >= 0),
    reason text,
    counted_on date,
    counted_by uuid,
    PRIMARY KEY (shipment_id, line_id),
    CONSTRAINT shipment_line_adds_up CHECK (quantity = good + damaged + short - surplus),
    CHECK (num_nulls(good, damaged, short, surplus, counted_on) IN (0, 5))
);
COMMENT ON COLUMN shipment_line.lot_id IS 'Where the goods left; NULL where they arrive.';
CREATE INDEX shipment_line_lot ON shipment_line (lot_id);

ALTER TABLE receipt ADD COLUMN shipment_id uuid, ADD COLUMN line_id uuid,
    ADD CONSTRAINT receipt_of_a_line_once UNIQUE (shipment_id, line_id),
    ADD CHECK ((shipment_id IS NULL) = (line_id IS NULL));
ALTER TABLE movement ADD COLUMN shipment_id uuid, ADD COLUMN line_id uuid,
    ADD CHECK ((kind = 'dispatch') = (shipment_id IS NOT NULL AND line_id IS NOT NULL));
ALTER TABLE movement DROP CONSTRAINT movement_kind_check, ADD CONSTRAINT movement_kind_check
    CHECK (kind IN ('receipt', 'issue', 'reversal', 'count', 'loss', 'fact', 'dispatch'));
CREATE UNIQUE INDEX movement_dispatch ON movement (shipment_id, line_id)
    WHERE shipment_id IS NOT NULL;
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check, ADD COLUMN shipment_id uuid,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'count_below_held', 'double_booked', 'short',
                   'damaged', 'surplus', 'manifest_differs'));

-- migrate: rollback

DROP TABLE shipment_line, shipment, transfer;
DROP INDEX movement_dispatch;
DELETE FROM discrepancy WHERE why IN ('short', 'damaged', 'surplus', 'manifest_differs');
DELETE FROM movement WHERE kind = 'dispatch';
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check, DROP COLUMN shipment_id,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'count_below_held', 'double_booked'));
ALTER TABLE movement DROP COLUMN shipment_id, DROP COLUMN line_id,
    DROP CONSTRAINT movement_kind_check, ADD CONSTRAINT movement_kind_check
    CHECK (kind IN ('receipt', 'issue', 'reversal', 'count', 'loss', 'fact'));
ALTER TABLE receipt DROP COLUMN shipment_id, DROP COLUMN line_id;
