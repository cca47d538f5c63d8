-- When a payout was given up: a row that names only a need means the one that was open on its day.
-- depends: 0019_payments_late_facts

-- migrate: apply

ALTER TABLE payout ADD COLUMN given_up_at timestamptz;
-- An attempt begins after the one before it ended. Where none followed nobody knows any more.
UPDATE payout p SET given_up_at = next.recorded_at
FROM commitment c, LATERAL (
    SELECT n.recorded_at FROM commitment n
    WHERE n.need_id = c.need_id AND n.attempt_no > c.attempt_no ORDER BY n.attempt_no LIMIT 1
) next
WHERE c.id = p.commitment_id AND p.state = 'cancelled';

-- migrate: rollback

ALTER TABLE payout DROP COLUMN given_up_at;
