-- Goods that were set aside and may not be given any more are given up for others.
-- depends: 0026_inventory_periods

-- migrate: apply

ALTER TABLE reservation DROP CONSTRAINT reservation_cause_check,
    ADD CONSTRAINT reservation_cause_check CHECK (cause IN (
        'hold_expired', 'not_collected', 'withdrawn', 'relocated', 'no_show', 'reversed',
        'lot_unfit'));

-- migrate: rollback

ALTER TABLE reservation DROP CONSTRAINT reservation_cause_check,
    ADD CONSTRAINT reservation_cause_check CHECK (cause IN (
        'hold_expired', 'not_collected', 'withdrawn', 'relocated', 'no_show', 'reversed'));
