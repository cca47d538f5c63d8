-- Lots that may be given later only are noted when they come in, not when somebody looks.
-- depends: 0027_inventory_unfit_lots

-- migrate: apply

INSERT INTO lot_to_come (lot_id)
SELECT id FROM lot
WHERE on_hand > 0
  AND restriction ->> 'valid_from' > ((now() AT TIME ZONE 'Europe/Kyiv')::date)::text
ON CONFLICT DO NOTHING;
DROP INDEX lot_restricted_from;
COMMENT ON TABLE lot_to_come IS
    'Lots whose period had not begun when their terms were written; who waits is woken then.';

-- migrate: rollback

CREATE INDEX lot_restricted_from ON lot ((restriction ->> 'valid_from'))
    WHERE on_hand > 0 AND restriction ->> 'valid_from' IS NOT NULL;
COMMENT ON TABLE lot_to_come IS 'Lots whose period has not begun, when it was looked at last.';
