-- Aid was entered as given at a site that nobody knows, or after it closed.
-- depends: 0028_inventory_lots_to_come

-- migrate: apply

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'unknown_site', 'site_closed', 'expired_lot', 'outside_period',
                   'count_below_held', 'double_booked', 'short', 'damaged', 'surplus',
                   'manifest_differs'));

-- migrate: rollback

DELETE FROM discrepancy WHERE why IN ('unknown_site', 'site_closed');
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_why_check,
    ADD CONSTRAINT discrepancy_why_check
    CHECK (why IN ('not_in_books', 'expired_lot', 'outside_period', 'count_below_held',
                   'double_booked', 'short', 'damaged', 'surplus', 'manifest_differs'));
