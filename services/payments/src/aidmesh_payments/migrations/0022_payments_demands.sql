-- What became of a donor's demand that could not be met at once, each part with what did it.
-- depends: 0021_payments_sealed_by

-- migrate: apply

ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind IN (
        'instalment', 'instalment_reversed', 'allotment_sent', 'allotment_received',
        'return_sent', 'return_received', 'spending', 'spending_reversed',
        'exchange_difference', 'refund_due', 'refund_due_reversed', 'demand_withdrawn', 'refund'));

-- What a donor does not want back after all. What was set aside of it is a journal, too.
CREATE TABLE demand_withdrawal (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL REFERENCES donor_grant,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    journal_id uuid REFERENCES journal DEFERRABLE INITIALLY DEFERRED,
    reason text NOT NULL,
    withdrawn_on date NOT NULL,
    withdrawn_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX demand_withdrawal_grant ON demand_withdrawal (grant_id, recorded_at, id);

-- How much less a donor waits for (negative: more again), by money set aside or by a withdrawal.
-- Journals are booked at the end of their transaction.
CREATE TABLE shortfall_entry (
    shortfall_id uuid NOT NULL REFERENCES shortfall,
    journal_id uuid REFERENCES journal DEFERRABLE INITIALLY DEFERRED,
    withdrawal_id uuid REFERENCES demand_withdrawal,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    CHECK (num_nonnulls(journal_id, withdrawal_id) = 1),
    UNIQUE (journal_id, shortfall_id),
    UNIQUE (withdrawal_id, shortfall_id)
);
CREATE INDEX shortfall_entry_shortfall ON shortfall_entry (shortfall_id);

-- By how much it was less before that was on record.
ALTER TABLE shortfall ADD COLUMN unrecorded_minor bigint NOT NULL DEFAULT 0;
UPDATE shortfall SET unrecorded_minor = demanded_minor - open_minor;

-- migrate: rollback

ALTER TABLE shortfall DROP COLUMN unrecorded_minor;
DROP TABLE shortfall_entry, demand_withdrawal;
ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind IN (
        'instalment', 'instalment_reversed', 'allotment_sent', 'allotment_received',
        'return_sent', 'return_received', 'spending', 'spending_reversed',
        'exchange_difference', 'refund_due', 'demand_withdrawn', 'refund'));
