-- Commitments, payouts, payees, purchases, and rows that were imported.
-- depends: 0002_payments_grants

-- migrate: apply

-- Serializes what is done for one need, and remembers attempts that ended before they began.
CREATE TABLE need_attempt (
    need_id uuid PRIMARY KEY,
    seen_no int NOT NULL DEFAULT 0 CHECK (seen_no >= 0),
    ended_no int NOT NULL DEFAULT 0 CHECK (ended_no >= 0)
);

CREATE TABLE commitment (
    id uuid PRIMARY KEY,
    need_id uuid,
    attempt_no int NOT NULL CHECK (attempt_no >= 0),
    allotment_id uuid NOT NULL REFERENCES allotment,
    grant_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('payout', 'provider', 'purchase')),
    state text NOT NULL CHECK (state IN ('held', 'committed', 'spent', 'released')),
    programme text NOT NULL,
    hold_until timestamptz,
    collect_by timestamptz,
    payee_ref uuid,
    spend_no int NOT NULL DEFAULT 0 CHECK (spend_no >= 0),
    spent_on date,
    issue_no int NOT NULL DEFAULT 0 CHECK (issue_no >= 0),
    reversed_no int NOT NULL DEFAULT 0 CHECK (reversed_no >= 0),
    cause text CHECK (cause IN ('hold_expired', 'not_collected', 'withdrawn', 'returned')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (need_id, attempt_no),
    CHECK ((need_id IS NULL) = (purpose = 'purchase')),
    CHECK ((state = 'held') = (hold_until IS NOT NULL)),
    CHECK ((state = 'spent') = (spent_on IS NOT NULL)),
    CHECK ((state = 'released') = (cause IS NOT NULL))
);
CREATE INDEX commitment_hold ON commitment (hold_until) WHERE state = 'held';
CREATE INDEX commitment_collect ON commitment (collect_by)
    WHERE state = 'committed' AND collect_by IS NOT NULL;
CREATE INDEX commitment_open ON commitment (allotment_id) WHERE state IN ('held', 'committed');

-- A refusal, for the console's "why"; the last one of a need counts.
CREATE TABLE refusal (
    need_id uuid PRIMARY KEY,
    attempt_no int NOT NULL,
    reason text NOT NULL,
    code text,
    amount_minor bigint,
    decided_at timestamptz NOT NULL
);

-- A fact that does not fit the books; a person settles it.
CREATE TABLE discrepancy (
    id uuid PRIMARY KEY,
    about text NOT NULL CHECK (about IN ('no_money', 'late_service', 'withdrawn_after_export')),
    need_id uuid NOT NULL,
    programme text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    occurred_on date NOT NULL,
    cost_category text,
    commitment_id uuid REFERENCES commitment,
    opened_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    settled_by uuid,
    note text,
    CHECK ((settled_at IS NULL) = (settled_by IS NULL))
);
CREATE INDEX discrepancy_open ON discrepancy (opened_at, id) WHERE settled_at IS NULL;

-- Payee details: a sealed box that only this service's private key opens.
CREATE TABLE payee (
    payee_ref uuid PRIMARY KEY,
    need_id uuid,
    mechanism text CHECK (mechanism IN ('iban', 'card', 'post', 'cash')),
    sealed bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payee_need ON payee (need_id);

-- Who had payee details opened, and for what.
CREATE TABLE payee_access (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payee_ref uuid NOT NULL,
    staff_id uuid NOT NULL,
    purpose text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE payout_batch (
    id uuid PRIMARY KEY,
    currency char(3) NOT NULL,
    mechanism text NOT NULL CHECK (mechanism IN ('iban', 'card', 'post', 'cash')),
    payouts int NOT NULL CHECK (payouts > 0),
    total_minor bigint NOT NULL CHECK (total_minor > 0),
    exported_by uuid NOT NULL,
    exported_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE payout (
    id uuid PRIMARY KEY,
    payout_no int NOT NULL CHECK (payout_no > 0),
    commitment_id uuid NOT NULL REFERENCES commitment,
    need_id uuid NOT NULL,
    allotment_id uuid NOT NULL REFERENCES allotment,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    mechanism text CHECK (mechanism IN ('iban', 'card', 'post', 'cash')),
    payee_ref uuid,
    state text NOT NULL CHECK (state IN (
        'draft', 'approved', 'exported', 'accepted', 'settled', 'rejected', 'returned',
        'cancelled')),
    reason text,
    maker uuid,
    approver uuid,
    settler uuid,
    reviewer uuid,
    review_due_at timestamptz,
    review_overdue boolean NOT NULL DEFAULT false,
    batch_id uuid REFERENCES payout_batch,
    bank_reference text,
    settled_on date,
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (commitment_id, payout_no),
    CHECK (state <> 'settled' OR (settled_on IS NOT NULL AND settler IS NOT NULL)),
    CHECK (state NOT IN ('rejected', 'returned') OR reason IS NOT NULL)
);
-- A need is never paid twice.
CREATE UNIQUE INDEX payout_one_per_need ON payout (need_id)
    WHERE state IN ('draft', 'approved', 'exported', 'accepted', 'settled');
CREATE INDEX payout_queue ON payout (state, recorded_at, id)
    WHERE state IN ('draft', 'approved', 'exported', 'accepted', 'rejected', 'returned');
CREATE INDEX payout_review ON payout (review_due_at, id)
    WHERE review_due_at IS NOT NULL AND reviewer IS NULL;
CREATE INDEX payout_batch_of ON payout (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX payout_payee ON payout (payee_ref) WHERE payee_ref IS NOT NULL;

CREATE TABLE purchase (
    id uuid PRIMARY KEY,
    allotment_id uuid NOT NULL REFERENCES allotment,
    commitment_id uuid REFERENCES commitment,
    supplier text NOT NULL,
    cost_category text NOT NULL,
    programme text NOT NULL,
    area text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    state text NOT NULL CHECK (state IN (
        'draft', 'ordered', 'received', 'invoiced', 'paid', 'cancelled')),
    planned_on date NOT NULL,
    invoice_reference text,
    bank_reference text,
    paid_on date,
    maker uuid NOT NULL,
    approver uuid,
    payer uuid,
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CHECK (state <> 'paid' OR (paid_on IS NOT NULL AND bank_reference IS NOT NULL))
);
CREATE INDEX purchase_list ON purchase (recorded_at, id);

CREATE TABLE purchase_line (
    purchase_id uuid NOT NULL REFERENCES purchase,
    line int NOT NULL CHECK (line > 0),
    item text,
    description text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    unit_value_minor bigint NOT NULL CHECK (unit_value_minor >= 0),
    received int NOT NULL DEFAULT 0 CHECK (received >= 0),
    PRIMARY KEY (purchase_id, line)
);

-- What inventory counted, once by receipt.
CREATE TABLE purchase_receipt (
    receipt_id uuid PRIMARY KEY,
    purchase_id uuid NOT NULL REFERENCES purchase,
    received_on date NOT NULL
);

-- Rows of files and bulk forms. The hash finds a row that came again with other content; rows
-- hold ids, amounts and references only, so it needs no key.
CREATE TABLE imported_row (
    form text NOT NULL,
    source text NOT NULL,
    row_id text NOT NULL,
    content_hash bytea NOT NULL,
    result_id uuid,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (form, source, row_id)
);

-- migrate: rollback

DROP TABLE imported_row, purchase_receipt, purchase_line, purchase, payout, payout_batch,
    payee_access, payee, discrepancy, refusal, commitment, need_attempt;
