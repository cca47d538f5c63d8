-- What providers charge: who entered it, and above the float limit who else saw it.
-- depends: 0034_payments_sealers_of_orders

-- migrate: apply

CREATE TABLE provider_bill (
    id uuid PRIMARY KEY,
    commitment_id uuid NOT NULL REFERENCES commitment,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reason text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'charged', 'withdrawn')),
    biller uuid NOT NULL,
    decided_by uuid,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at timestamptz,
    CHECK ((state = 'waiting') = (decided_at IS NULL))
);
CREATE INDEX provider_bill_of ON provider_bill (commitment_id, recorded_at);
-- The last bill that was entered counts: one of a commitment waits.
CREATE UNIQUE INDEX provider_bill_waiting ON provider_bill (commitment_id)
    WHERE state = 'waiting';

-- migrate: rollback

DROP TABLE provider_bill;
