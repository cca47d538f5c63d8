-- Payouts that another region's office pays, at both ends.
-- depends: 0023_payments_amended_lines

-- migrate: apply

-- At the holder: which office was asked to pay, what it said last, and why it was asked back.
ALTER TABLE payout
    ADD COLUMN assigned_to text,
    ADD COLUMN outcome_version int NOT NULL DEFAULT 0 CHECK (outcome_version >= 0),
    ADD COLUMN withdrawal text
        CHECK (withdrawal IN ('withdrawn', 'returned', 'corrected', 'erased')),
    ADD CHECK (assigned_to IS NOT NULL OR (outcome_version = 0 AND withdrawal IS NULL));
CREATE INDEX payout_assigned ON payout (assigned_to) WHERE assigned_to IS NOT NULL;

-- At the paying office: what a region asks to be paid. `sealed` is the box as it came; what is no
-- person's is copied out of it once the key is there. One that was withdrawn before it came has
-- nothing but its id, region and state.
CREATE TABLE paying_order (
    id uuid PRIMARY KEY,
    region text NOT NULL,
    sealed bytea,
    grant_id uuid,
    allotment_id uuid,
    amount_minor bigint CHECK (amount_minor > 0),
    currency char(3),
    mechanism text CHECK (mechanism IN ('iban', 'card', 'post', 'cash')),
    approver uuid,
    state text NOT NULL CHECK (state IN (
        'received', 'exported', 'settled', 'rejected', 'returned', 'cancelled')),
    reason text,
    settler uuid,
    reviewer uuid,
    review_due_at timestamptz,
    bank_reference text,
    settled_on date,
    batch_id uuid REFERENCES payout_batch,
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nulls(grant_id, allotment_id, amount_minor, currency, mechanism, approver)
           IN (0, 6)),
    CHECK (amount_minor IS NOT NULL OR state IN ('received', 'rejected', 'cancelled')),
    CHECK (state NOT IN ('settled', 'returned') OR (settled_on IS NOT NULL AND settler IS NOT NULL)),
    CHECK (state NOT IN ('rejected', 'returned') OR reason IS NOT NULL),
    CHECK (state NOT IN ('rejected', 'cancelled') OR sealed IS NULL)
);
CREATE INDEX paying_order_queue ON paying_order (state, recorded_at, id);
CREATE INDEX paying_order_unread ON paying_order (recorded_at)
    WHERE state = 'received' AND amount_minor IS NULL;
CREATE INDEX paying_order_batch ON paying_order (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX paying_order_kept ON paying_order (settled_on)
    WHERE sealed IS NOT NULL AND settled_on IS NOT NULL;

-- migrate: rollback

DROP TABLE paying_order;
DROP INDEX payout_assigned;
ALTER TABLE payout
    DROP COLUMN assigned_to,
    DROP COLUMN outcome_version,
    DROP COLUMN withdrawal;
