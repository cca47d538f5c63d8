-- Bills and payments that were entered wrong: what stood there before, who corrected it and why.
-- depends: 0012_payments_corrected_payees

-- migrate: apply

CREATE TABLE purchase_correction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purchase_id uuid NOT NULL REFERENCES purchase,
    what text NOT NULL CHECK (what IN ('bill', 'payment')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reference text,
    paid_on date,
    reason text NOT NULL,
    corrected_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX purchase_correction_of ON purchase_correction (purchase_id);

-- migrate: rollback

DROP TABLE purchase_correction;
