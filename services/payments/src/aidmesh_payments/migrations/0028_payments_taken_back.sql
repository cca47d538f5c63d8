-- Payouts that came back from a paying office that is gone.
-- depends: 0027_payments_waits

-- migrate: apply

-- What was asked back, and what the office had said, is still known of them.
ALTER TABLE payout
    ADD COLUMN taken_from text,
    DROP CONSTRAINT payout_check2,
    ADD CONSTRAINT payout_check2
        CHECK (num_nonnulls(assigned_to, taken_from) > 0
               OR (outcome_version = 0 AND withdrawal IS NULL));
COMMENT ON COLUMN payout.taken_from IS 'The office that had it, and was lost or retired since.';

-- migrate: rollback

UPDATE payout SET outcome_version = 0, withdrawal = NULL WHERE assigned_to IS NULL;
ALTER TABLE payout
    DROP CONSTRAINT payout_check2,
    ADD CONSTRAINT payout_check2
        CHECK (assigned_to IS NOT NULL OR (outcome_version = 0 AND withdrawal IS NULL)),
    DROP COLUMN taken_from;
