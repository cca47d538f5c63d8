-- Aid that was entered as given can be reversed: what it spent comes back.
-- depends: 0003_payments_spending

-- migrate: apply

-- A reversal may overtake its fact, which then is not booked.
ALTER TABLE need_attempt ADD COLUMN fact_reversed boolean NOT NULL DEFAULT false;

-- A reversed fact closes its own discrepancy: nobody settled it, the note says why.
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_check,
    ADD CONSTRAINT discrepancy_settled CHECK (
        CASE WHEN settled_at IS NULL THEN settled_by IS NULL
             ELSE settled_by IS NOT NULL OR note IS NOT NULL END);

-- migrate: rollback

UPDATE discrepancy SET settled_by = '00000000-0000-0000-0000-000000000000'
    WHERE settled_at IS NOT NULL AND settled_by IS NULL;
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_settled,
    ADD CONSTRAINT discrepancy_check CHECK ((settled_at IS NULL) = (settled_by IS NULL));
ALTER TABLE need_attempt DROP COLUMN fact_reversed;
