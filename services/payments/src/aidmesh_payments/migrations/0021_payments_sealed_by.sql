-- Who corrected or entered where a payment goes: above the float limit somebody else approves it.
-- depends: 0020_payments_given_up

-- migrate: apply

ALTER TABLE payee ADD COLUMN sealed_by uuid;
ALTER TABLE payout ADD COLUMN sealed_by uuid;
-- A commitment's first payout has no maker, unless whoever corrected its payee.
UPDATE payee SET sealed_by = p.maker FROM payout p
WHERE p.payee_ref = payee.payee_ref AND payee.version > 0 AND p.payout_no = 1;
UPDATE payout p SET sealed_by = payee.sealed_by FROM payee
WHERE payee.payee_ref = p.payee_ref AND payee.sealed_by IS NOT NULL;

-- migrate: rollback

ALTER TABLE payout DROP COLUMN sealed_by;
ALTER TABLE payee DROP COLUMN sealed_by;
