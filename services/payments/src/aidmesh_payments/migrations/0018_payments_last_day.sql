-- The last day that a donor allowed apart from the period, so that amending the period keeps it.
-- depends: 0017_payments_biller

-- migrate: apply

ALTER TABLE donor_grant ADD COLUMN allowed_to date;
UPDATE donor_grant g SET allowed_to = (t.restriction ->> 'valid_to')::date
FROM grant_terms t
WHERE t.grant_id = g.id AND (t.restriction ->> 'valid_to')::date <> g.period_to;

-- migrate: rollback

ALTER TABLE donor_grant DROP COLUMN allowed_to;
