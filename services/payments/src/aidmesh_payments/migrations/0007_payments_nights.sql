-- The nights of a stay are charged when they are known.
-- depends: 0006_payments_sensitive

-- migrate: apply

-- What a night of one bed costs; NULL where check-out does not settle the amount.
ALTER TABLE commitment ADD COLUMN night_minor bigint CHECK (night_minor > 0);

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'withdrawn_after_export'));

-- migrate: rollback

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'withdrawn_after_export'));
ALTER TABLE commitment DROP COLUMN night_minor;
