-- Purchases that are given up after they were said to have come or were billed: who did, and why.
-- depends: 0040_payments_untold

-- migrate: apply

ALTER TABLE purchase_correction DROP CONSTRAINT purchase_correction_what_check,
    ADD CONSTRAINT purchase_correction_what_check CHECK (what IN ('bill', 'payment', 'order'));

-- migrate: rollback

ALTER TABLE purchase_correction DROP CONSTRAINT purchase_correction_what_check,
    ADD CONSTRAINT purchase_correction_what_check CHECK (what IN ('bill', 'payment'));
