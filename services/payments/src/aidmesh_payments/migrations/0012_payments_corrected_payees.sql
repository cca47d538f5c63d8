-- Payee details that were corrected: of a need's the highest version counts.
-- depends: 0011_payments_spending_of

-- migrate: apply

ALTER TABLE payee ADD COLUMN version int NOT NULL DEFAULT 0 CHECK (version >= 0);

-- A commitment names whom its next payout goes to: the payee of its last one.
UPDATE commitment c SET payee_ref = p.payee_ref
FROM payout p
WHERE p.commitment_id = c.id AND p.payee_ref IS DISTINCT FROM c.payee_ref
  AND p.payout_no = (SELECT max(payout_no) FROM payout WHERE commitment_id = c.id);

-- migrate: rollback

ALTER TABLE payee DROP COLUMN version;
