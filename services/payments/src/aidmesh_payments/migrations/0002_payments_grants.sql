-- Donors, grants, and allotments at both of their ends.
-- depends: 0001_payments_ledger

-- migrate: apply

CREATE TABLE donor (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

-- What a region knows of a grant it may spend from: its own and others'.
CREATE TABLE grant_terms (
    grant_id uuid PRIMARY KEY,
    grantor text NOT NULL,
    code text NOT NULL,
    donor text NOT NULL,
    currency char(3) NOT NULL,
    restriction jsonb NOT NULL,
    paying_office text NOT NULL,
    terms_version int NOT NULL CHECK (terms_version > 0),
    status text NOT NULL CHECK (status IN ('pledged', 'active', 'suspended', 'closed')),
    -- Of the grantor's last state event; 0 while only a transfer told of the grant.
    state_version int NOT NULL DEFAULT 0 CHECK (state_version >= 0),
    amount_minor bigint,
    received_minor bigint
);

-- A grant at its grantor. The CHECK is the equation of domain/grants.py.
CREATE TABLE donor_grant (
    id uuid PRIMARY KEY REFERENCES grant_terms,
    donor_id uuid NOT NULL REFERENCES donor,
    code text NOT NULL UNIQUE,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    period_from date NOT NULL,
    period_to date NOT NULL CHECK (period_to >= period_from),
    overhead_bp int NOT NULL CHECK (overhead_bp BETWEEN 0 AND 10000),
    status text NOT NULL CHECK (status IN ('pledged', 'active', 'suspended', 'closed')),
    received_minor bigint NOT NULL DEFAULT 0 CHECK (received_minor >= 0),
    unallotted_minor bigint NOT NULL DEFAULT 0 CHECK (unallotted_minor >= 0),
    allotted_minor bigint NOT NULL DEFAULT 0 CHECK (allotted_minor >= 0),
    exchange_difference_minor bigint NOT NULL DEFAULT 0,
    refund_due_minor bigint NOT NULL DEFAULT 0 CHECK (refund_due_minor >= 0),
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by uuid NOT NULL,
    CHECK (received_minor = unallotted_minor + allotted_minor + exchange_difference_minor
           + refund_due_minor + refunded_minor)
);

CREATE TABLE budget_line (
    grant_id uuid NOT NULL REFERENCES donor_grant,
    code text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    flexibility_percent int NOT NULL CHECK (flexibility_percent BETWEEN 0 AND 100),
    cost_categories text[],
    allotted_minor bigint NOT NULL DEFAULT 0 CHECK (allotted_minor >= 0),
    PRIMARY KEY (grant_id, code)
);

CREATE TABLE instalment (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL REFERENCES donor_grant,
    expected_minor bigint NOT NULL CHECK (expected_minor > 0),
    expected_on date NOT NULL,
    state text NOT NULL CHECK (state IN ('expected', 'received')),
    received_minor bigint CHECK (received_minor > 0),
    paid_minor bigint CHECK (paid_minor > 0),
    paid_currency char(3),
    received_on date,
    bank_reference text,
    recorded_by uuid NOT NULL,
    CHECK ((state = 'received') = (received_minor IS NOT NULL AND received_on IS NOT NULL
           AND paid_minor IS NOT NULL AND paid_currency IS NOT NULL AND bank_reference IS NOT NULL))
);
CREATE INDEX instalment_grant ON instalment (grant_id);

-- An allotment as its grantor remembers it.
CREATE TABLE grant_allotment (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL,
    budget_line text NOT NULL,
    holder text NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    granted_minor bigint NOT NULL CHECK (granted_minor > 0),
    returned_minor bigint NOT NULL DEFAULT 0,
    returned_granted_minor bigint NOT NULL DEFAULT 0,
    rate text NOT NULL,
    rate_on date NOT NULL,
    rate_source text NOT NULL,
    valid_until date,
    recall_reason text,
    FOREIGN KEY (grant_id, budget_line) REFERENCES budget_line (grant_id, code),
    CHECK (returned_minor BETWEEN 0 AND amount_minor),
    CHECK (returned_granted_minor BETWEEN 0 AND granted_minor)
);
CREATE INDEX grant_allotment_grant ON grant_allotment (grant_id);

-- An allotment beyond its budget line, until a second person decides.
CREATE TABLE allotment_request (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL REFERENCES donor_grant,
    order_json jsonb NOT NULL,
    reason text NOT NULL,
    maker uuid NOT NULL,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'approved', 'refused')),
    decided_by uuid,
    asked_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    allotment_id uuid,
    CHECK ((state = 'asked') = (decided_by IS NULL)),
    CHECK (decided_by IS NULL OR state = 'refused' OR decided_by <> maker)
);

-- An allotment at its holder. The CHECK is the holder's equation.
CREATE TABLE allotment (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL REFERENCES grant_terms,
    budget_line text NOT NULL,
    grantor text NOT NULL,
    currency char(3) NOT NULL,
    cost_categories text[],
    received_minor bigint NOT NULL DEFAULT 0,
    returned_minor bigint NOT NULL DEFAULT 0 CHECK (returned_minor >= 0),
    held_minor bigint NOT NULL DEFAULT 0 CHECK (held_minor >= 0),
    committed_minor bigint NOT NULL DEFAULT 0 CHECK (committed_minor >= 0),
    spent_minor bigint NOT NULL DEFAULT 0 CHECK (spent_minor >= 0),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'recalled', 'returned')),
    recall_reason text,
    valid_until date,
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    CHECK (held_minor + committed_minor + spent_minor <= received_minor - returned_minor)
);
CREATE INDEX allotment_currency ON allotment (currency, id) WHERE status <> 'returned';
CREATE INDEX allotment_validity ON allotment (valid_until) WHERE status = 'active';

-- Money between two ends of an allotment, by transfer id; each end writes its own row.
CREATE TABLE transfer (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('allotment', 'return')),
    allotment_id uuid NOT NULL,
    from_region text NOT NULL,
    to_region text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    granted_minor bigint CHECK (granted_minor > 0),
    state text NOT NULL CHECK (state IN ('in_transit', 'received')),
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX transfer_allotment ON transfer (allotment_id);
CREATE INDEX transfer_in_transit ON transfer (to_region) WHERE state = 'in_transit';

-- A recall may overtake the money it asks for.
CREATE TABLE recall (
    allotment_id uuid PRIMARY KEY,
    grantor text NOT NULL,
    reason text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);

-- What a donor wants back beyond what was free: shown, worked off, never a negative account.
CREATE TABLE shortfall (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL REFERENCES donor_grant,
    demanded_minor bigint NOT NULL CHECK (demanded_minor > 0),
    open_minor bigint NOT NULL CHECK (open_minor BETWEEN 0 AND demanded_minor),
    reason text NOT NULL,
    opened_on date NOT NULL,
    recorded_by uuid NOT NULL
);
CREATE INDEX shortfall_open ON shortfall (grant_id, opened_on, id) WHERE open_minor > 0;

-- Other regions' allotments, as they last told.
CREATE TABLE allotment_elsewhere (
    allotment_id uuid PRIMARY KEY,
    grant_id uuid NOT NULL,
    grantor text NOT NULL,
    holder text NOT NULL,
    currency char(3) NOT NULL,
    received_minor bigint NOT NULL,
    returned_minor bigint NOT NULL,
    held_minor bigint NOT NULL,
    committed_minor bigint NOT NULL,
    spent_minor bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'recalled', 'returned')),
    version int NOT NULL CHECK (version > 0),
    as_of timestamptz NOT NULL
);
CREATE INDEX allotment_elsewhere_grant ON allotment_elsewhere (grant_id);

-- migrate: rollback

DROP TABLE allotment_elsewhere, shortfall, recall, transfer, allotment, allotment_request,
    grant_allotment, instalment, budget_line, donor_grant, grant_terms, donor;
