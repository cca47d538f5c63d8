-- Payouts keep the names of all offices that had them; grants that are to begin are noted at once.
-- depends: 0030_payments_periods

-- migrate: apply

ALTER TABLE payout DROP CONSTRAINT payout_check2;
ALTER TABLE payout
    ALTER COLUMN taken_from TYPE text[]
        USING CASE WHEN taken_from IS NULL THEN '{}' ELSE ARRAY[taken_from] END,
    ALTER COLUMN taken_from SET DEFAULT '{}',
    ALTER COLUMN taken_from SET NOT NULL,
    ADD CONSTRAINT payout_check2
        CHECK (assigned_to IS NOT NULL OR taken_from <> '{}'
               OR (outcome_version = 0 AND withdrawal IS NULL));
COMMENT ON COLUMN payout.taken_from IS
    'The offices that had it and were lost or retired since, the last one last.';

INSERT INTO grant_to_come (grant_id)
SELECT grant_id FROM grant_terms
WHERE (restriction ->> 'valid_from')::date > (now() AT TIME ZONE 'Europe/Kyiv')::date
ON CONFLICT DO NOTHING;
COMMENT ON TABLE grant_to_come IS
    'Grants whose period had not begun when their terms were written; who waits is woken then.';

-- migrate: rollback

COMMENT ON TABLE grant_to_come IS 'Grants whose period has not begun, when it was looked at last.';
ALTER TABLE payout DROP CONSTRAINT payout_check2;
ALTER TABLE payout
    ALTER COLUMN taken_from DROP NOT NULL,
    ALTER COLUMN taken_from DROP DEFAULT,
    ALTER COLUMN taken_from TYPE text USING taken_from[cardinality(taken_from)],
    ADD CONSTRAINT payout_check2
        CHECK (num_nonnulls(assigned_to, taken_from) > 0
               OR (outcome_version = 0 AND withdrawal IS NULL));
COMMENT ON COLUMN payout.taken_from IS 'The office that had it, and was lost or retired since.';
