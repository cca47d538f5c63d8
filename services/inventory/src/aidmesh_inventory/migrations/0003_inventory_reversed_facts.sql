-- Aid that was entered as given can be reversed: what it booked goes back.
-- depends: 0002_inventory_places

-- migrate: apply

ALTER TABLE reservation DROP CONSTRAINT reservation_cause_check,
    ADD CONSTRAINT reservation_cause_check CHECK (cause IN (
        'hold_expired', 'not_collected', 'withdrawn', 'relocated', 'no_show', 'reversed'));

-- migrate: rollback

ALTER TABLE reservation DROP CONSTRAINT reservation_cause_check,
    ADD CONSTRAINT reservation_cause_check CHECK (cause IN (
        'hold_expired', 'not_collected', 'withdrawn', 'relocated', 'no_show'));
