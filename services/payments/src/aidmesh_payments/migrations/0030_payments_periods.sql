-- Periods of grants: one begins, which wakes who waits; money was spent outside of one, a fact.
-- depends: 0028_payments_taken_back

-- migrate: apply

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'outside_period', 'paid_twice',
        'withdrawn_after_export'));

CREATE TABLE grant_to_come (grant_id uuid PRIMARY KEY REFERENCES grant_terms);
COMMENT ON TABLE grant_to_come IS 'Grants whose period has not begun, when it was looked at last.';

-- migrate: rollback

DROP TABLE grant_to_come;
DELETE FROM discrepancy WHERE about = 'outside_period';
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'paid_twice', 'withdrawn_after_export'));
