-- What one piece of bought goods costs by the bill, where that is not what was ordered.
-- depends: 0043_payments_reversed_refunds

-- migrate: apply

ALTER TABLE purchase_line ADD COLUMN billed_unit_minor bigint CHECK (billed_unit_minor >= 0);
COMMENT ON COLUMN purchase_line.billed_unit_minor IS
    'What one costs by the bill, in minor units; null where that is what was ordered, or not said.';

-- migrate: rollback

ALTER TABLE purchase_line DROP COLUMN billed_unit_minor;
