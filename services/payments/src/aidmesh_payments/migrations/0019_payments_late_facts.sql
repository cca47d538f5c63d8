-- Cash that was really paid is recorded, whatever became of its money or its need.
-- depends: 0018_payments_last_day

-- migrate: apply

ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'paid_twice', 'withdrawn_after_export'));

-- Whether it was paid beside another one of its need: known afterwards, never on purpose.
ALTER TABLE payout ADD COLUMN paid_twice boolean NOT NULL DEFAULT false;

-- A need is never paid twice, but if it was, that is on record.
DROP INDEX payout_one_per_need;
CREATE UNIQUE INDEX payout_one_per_need ON payout (need_id)
    WHERE state IN ('draft', 'approved', 'exported', 'accepted', 'settled') AND NOT paid_twice;
-- Rows that name a need find its payouts that are over, too.
CREATE INDEX payout_need ON payout (need_id);

-- Money that was found late for a stay: a correction of the stay gives it back.
ALTER TABLE discrepancy ADD COLUMN booked_on uuid REFERENCES commitment;
UPDATE discrepancy d SET booked_on = c.id FROM commitment c
WHERE d.about IN ('longer_stay', 'late_service') AND d.settled_by IS NOT NULL
  AND c.need_id = d.need_id AND c.attempt_no = 0 AND c.id <> d.commitment_id
  AND c.amount_minor = d.amount_minor;
CREATE INDEX discrepancy_commitment ON discrepancy (commitment_id);

-- migrate: rollback

DROP INDEX discrepancy_commitment;
ALTER TABLE discrepancy DROP COLUMN booked_on;
DROP INDEX payout_need;
DROP INDEX payout_one_per_need;
CREATE UNIQUE INDEX payout_one_per_need ON payout (need_id)
    WHERE state IN ('draft', 'approved', 'exported', 'accepted', 'settled');
ALTER TABLE payout DROP COLUMN paid_twice;
ALTER TABLE discrepancy DROP CONSTRAINT discrepancy_about_check,
    ADD CONSTRAINT discrepancy_about_check CHECK (about IN (
        'no_money', 'late_service', 'longer_stay', 'withdrawn_after_export'));
