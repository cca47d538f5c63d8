-- Payouts that were drawn up at the moment at which their details came did not say how they go.
-- depends: 0035_payments_bills

-- migrate: apply

UPDATE payout p SET mechanism = payee.mechanism, sealed_by = COALESCE(p.sealed_by, payee.sealed_by)
FROM payee
WHERE payee.payee_ref = p.payee_ref AND p.mechanism IS NULL AND payee.mechanism IS NOT NULL;

-- migrate: rollback
