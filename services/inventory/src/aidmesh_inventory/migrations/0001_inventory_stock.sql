-- Sites, items, lots, movements and reservations.
-- depends:

-- migrate: apply

CREATE TABLE site (
    id uuid PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    area text NOT NULL CHECK (area ~ '^UA[0-9]{2,10}$'),
    iso_code text NOT NULL CHECK (iso_code ~ '^UA-[0-9]{2}$'),
    site_type text NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    status_reason text,
    closed_at timestamptz,
    address bytea,
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    CHECK ((status = 'closed') = (closed_at IS NOT NULL))
);

CREATE TABLE item (
    code text PRIMARY KEY,
    names jsonb NOT NULL CHECK (names ?& ARRAY['uk', 'en', 'de']),
    unit text NOT NULL,
    pack int NOT NULL DEFAULT 1 CHECK (pack > 0),
    tracking text NOT NULL CHECK (tracking IN ('lot', 'serial', 'none')),
    prescription boolean NOT NULL DEFAULT false
);

-- What was ordered from a grant: the terms that the lots it becomes will carry.
CREATE TABLE purchase (
    id uuid PRIMARY KEY,
    grant_id uuid NOT NULL,
    restriction jsonb NOT NULL,
    currency char(3) NOT NULL
);
CREATE TABLE purchase_line (
    purchase_id uuid NOT NULL REFERENCES purchase,
    item text NOT NULL,
    ordered int NOT NULL CHECK (ordered > 0),
    received int NOT NULL DEFAULT 0 CHECK (received >= 0),
    unit_value_minor bigint NOT NULL CHECK (unit_value_minor >= 0),
    PRIMARY KEY (purchase_id, item)
);

CREATE TABLE receipt (
    id uuid PRIMARY KEY,
    site_id uuid NOT NULL REFERENCES site,
    purchase_id uuid REFERENCES purchase,
    received_on date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by uuid
);

-- Pieces with the same terms and the same expiry. `held` of them belong to reservations.
CREATE TABLE lot (
    id uuid PRIMARY KEY,
    receipt_id uuid NOT NULL REFERENCES receipt,
    item text NOT NULL REFERENCES item,
    site_id uuid NOT NULL REFERENCES site,
    batch text,
    expiry date,
    grant_id uuid,
    restriction jsonb,
    unit_value_minor bigint NOT NULL DEFAULT 0 CHECK (unit_value_minor >= 0),
    currency char(3) NOT NULL,
    status text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'expired', 'blocked')),
    on_hand int NOT NULL DEFAULT 0,
    held int NOT NULL DEFAULT 0,
    CONSTRAINT lot_books CHECK (0 <= held AND held <= on_hand)
);
CREATE INDEX lot_free ON lot (item, site_id) WHERE status = 'available' AND on_hand > held;
CREATE INDEX lot_at_site ON lot (site_id, item) WHERE on_hand > 0;
CREATE INDEX lot_expiry ON lot (expiry) WHERE status = 'available' AND on_hand > 0;

-- State of one item at one site. The row is the mutex of all that changes its lots: whoever
-- holds it sees every change made before, so that a refusal and a growth are never blind to
-- each other, and its version numbers what other regions are told.
CREATE TABLE stock_state (
    site_id uuid NOT NULL REFERENCES site,
    item text NOT NULL,
    on_hand int NOT NULL DEFAULT 0,
    free int NOT NULL DEFAULT 0,
    version int NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (site_id, item),
    CHECK (0 <= free AND free <= on_hand)
);

-- One attempt to serve a need. `attempt_no` 0 is aid that was given before it was entered.
CREATE TABLE reservation (
    id uuid PRIMARY KEY,
    need_id uuid NOT NULL,
    attempt_no int NOT NULL CHECK (attempt_no >= 0),
    way text NOT NULL CHECK (way IN ('handover', 'check_in', 'attendance')),
    state text NOT NULL
        CHECK (state IN ('held', 'confirmed', 'issued', 'released', 'expired', 'relocated')),
    cause text CHECK (cause IN ('hold_expired', 'not_collected', 'withdrawn', 'relocated', 'no_show')),
    site_id uuid REFERENCES site,
    priority int NOT NULL DEFAULT 0,
    planned_on date NOT NULL,
    hold_until timestamptz NOT NULL,
    told_at timestamptz,
    collect_by timestamptz,
    served_on date,
    issue_no int NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (need_id, attempt_no),
    CHECK ((state IN ('released', 'expired', 'relocated')) = (cause IS NOT NULL)),
    CHECK (state <> 'issued' OR served_on IS NOT NULL),
    CHECK (site_id IS NOT NULL OR attempt_no = 0)
);
CREATE INDEX reservation_holds ON reservation (hold_until) WHERE state = 'held';
CREATE INDEX reservation_pickups ON reservation (collect_by) WHERE state = 'confirmed';
CREATE INDEX reservation_live ON reservation (site_id) WHERE state IN ('held', 'confirmed');

CREATE TABLE allocation (
    reservation_id uuid NOT NULL REFERENCES reservation,
    lot_id uuid NOT NULL REFERENCES lot,
    quantity int NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation_id, lot_id)
);
CREATE INDEX allocation_lot ON allocation (lot_id);

-- Every piece that came or went. Never changed; the sum of a lot's rows is its `on_hand`.
CREATE TABLE movement (
    id uuid PRIMARY KEY,
    lot_id uuid NOT NULL REFERENCES lot,
    quantity int NOT NULL CHECK (quantity <> 0),
    kind text NOT NULL CHECK (kind IN ('receipt', 'issue', 'reversal', 'count', 'loss', 'fact')),
    reservation_id uuid REFERENCES reservation,
    receipt_id uuid REFERENCES receipt,
    reason text,
    happened_on date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by uuid,
    CHECK ((kind IN ('count', 'loss')) <= (reason IS NOT NULL))
);
CREATE INDEX movement_lot ON movement (lot_id);

-- The highest attempt of a need that is over: a cancel may arrive before what it cancels.
CREATE TABLE attempt_ended (
    need_id uuid PRIMARY KEY,
    attempt_no int NOT NULL
);

-- A fact that does not fit the books, for a person to settle.
CREATE TABLE discrepancy (
    id uuid PRIMARY KEY,
    need_id uuid,
    site_id uuid REFERENCES site,
    about text NOT NULL CHECK (about IN ('stock', 'bed', 'slot')),
    code text NOT NULL,
    quantity int NOT NULL,
    why text NOT NULL CHECK (why IN ('not_in_books', 'expired_lot', 'count_below_held', 'double_booked')),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'settled')),
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    settled_by uuid,
    settled_reason text,
    CHECK ((status = 'settled') = (settled_at IS NOT NULL AND settled_reason IS NOT NULL))
);
CREATE INDEX discrepancy_open ON discrepancy (opened_at, id) WHERE status = 'open';

-- Rows of bulk forms that were taken in: the same again is skipped, another content refused.
CREATE TABLE bulk_row (
    form text NOT NULL,
    source text NOT NULL,
    row_id text NOT NULL,
    content_hash bytea NOT NULL,
    result_id uuid,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (form, source, row_id)
);

-- When the pick-up clocks were last looked at; a long gap was downtime of ours.
CREATE TABLE pickup_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seen_at timestamptz NOT NULL
);

-- migrate: rollback
DROP TABLE pickup_clock, bulk_row, discrepancy, attempt_ended, movement, allocation, reservation,
    stock_state, lot, receipt, purchase_line, purchase, item, site;
