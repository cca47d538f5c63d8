-- Money that was spent on a day that its grant is not for: a fact, and a person looks.
-- depends: 0028_payments_taken_back

-- migrate: apply

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'outside_period', 'paid_twice',
        'withdrawn_after_export'));

-- migrate: rollback

DELETE FROM discrepancy WHERE about = 'outside_period';
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'paid_twice', 'withdrawn_after_export'));
