-- Periods of grants: one begins, which wakes who waits; goods were given outside of one, a fact.
-- depends: 0025_inventory_whole_days

-- migrate: apply

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'outside_period', 'count_below_held',
                   'double_booked', 'short', 'damaged', 'surplus', 'manifest_differs'));

CREATE TABLE lot_to_come (lot_id uuid PRIMARY KEY REFERENCES lot);
COMMENT ON TABLE lot_to_come IS 'Lots whose period has not begun, when it was looked at last.';
CREATE INDEX lot_restricted_from ON lot ((restriction ->> 'valid_from'))
    WHERE on_hand > 0 AND restriction ->> 'valid_from' IS NOT NULL;

-- migrate: rollback

DROP INDEX lot_restricted_from;
DROP TABLE lot_to_come;
DELETE FROM discrepancy WHERE why = 'outside_period';
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'count_below_held', 'double_booked', 'short',
                   'damaged', 'surplus', 'manifest_differs'));
