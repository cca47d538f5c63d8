-- Goods that were handed over on a day that their grant is not for: a fact, and a person looks.
-- depends: 0025_inventory_whole_days

-- migrate: apply

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'outside_period', 'count_below_held',
                   'double_booked', 'short', 'damaged', 'surplus', 'manifest_differs'));

-- migrate: rollback

DELETE FROM discrepancy WHERE why = 'outside_period';
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'count_below_held', 'double_booked', 'short',
                   'damaged', 'surplus', 'manifest_differs'));
