-- Payouts that came back from a paying office that is gone; orders that can't be given back yet.
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

ALTER TABLE paying_order ADD COLUMN asked_back boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN paying_order.asked_back IS
    'Its region wants it back, and nobody could prove then that it was not paid.';

-- migrate: rollback

ALTER TABLE paying_order DROP COLUMN asked_back;
UPDATE payout SET outcome_version = 0, withdrawal = NULL WHERE assigned_to IS NULL;
ALTER TABLE payout
    DROP CONSTRAINT payout_check2,
    ADD CONSTRAINT payout_check2
        CHECK (assigned_to IS NOT NULL OR (outcome_version = 0 AND withdrawal IS NULL)),
    DROP COLUMN taken_from;
