-- Persons, requests, needs, the waitlist and imports.
-- depends:

-- migrate: apply

-- The catalogue of kinds of need. `edited` kinds were changed here and outlive new releases.
CREATE TABLE kind (
    code text PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    body jsonb NOT NULL,
    edited boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by uuid
);

CREATE TABLE household (
    id uuid PRIMARY KEY,
    code_lookup bytea UNIQUE,
    area text,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- `details` is encrypted under the person's own key, which is kept wrapped under the master key:
-- deleting `wrapped_key` makes everything about them unreadable.
CREATE TABLE person (
    id uuid PRIMARY KEY,
    code_lookup bytea UNIQUE,
    details bytea,
    wrapped_key bytea,
    languages text[] NOT NULL DEFAULT '{}',
    area text,
    origin_area text,
    household_id uuid REFERENCES household,
    consents jsonb NOT NULL DEFAULT '{}',
    merged_into uuid REFERENCES person,
    erased_at timestamptz,
    card_version int NOT NULL DEFAULT 0,
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (merged_into IS DISTINCT FROM id),
    CHECK (erased_at IS NULL OR (details IS NULL AND wrapped_key IS NULL AND code_lookup IS NULL))
);
CREATE INDEX person_household ON person (household_id) WHERE household_id IS NOT NULL;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;

-- Who was erased; copied outside backups so that a restore can erase them again.
CREATE TABLE erased_person (
    person_id uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    staff_id uuid
);

-- Who looked at whose details.
CREATE TABLE person_access (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    staff_id uuid NOT NULL,
    person_id uuid NOT NULL REFERENCES person,
    why text NOT NULL
);
CREATE INDEX person_access_person ON person_access (person_id, at);

CREATE TABLE request (
    id uuid PRIMARY KEY,
    for_whom text NOT NULL CHECK (for_whom IN ('person', 'household', 'group', 'site')),
    person_id uuid REFERENCES person,
    household_id uuid REFERENCES household,
    site_id uuid,
    source text NOT NULL,
    asked_on date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    caseworker uuid,
    -- Answers of triage and notes, encrypted under the person's key.
    sealed_reasons bytea,
    CHECK (for_whom <> 'person' OR person_id IS NOT NULL),
    CHECK (for_whom IN ('person', 'household') OR person_id IS NULL),
    CHECK (for_whom <> 'household' OR household_id IS NOT NULL),
    CHECK (for_whom <> 'site' OR site_id IS NOT NULL)
);
CREATE INDEX request_person ON request (person_id) WHERE person_id IS NOT NULL;

CREATE TABLE need (
    id uuid PRIMARY KEY,
    request_id uuid NOT NULL REFERENCES request,
    kind text NOT NULL REFERENCES kind,
    programme text NOT NULL,
    sensitive boolean NOT NULL,
    for_whom text NOT NULL CHECK (for_whom IN ('person', 'household', 'group', 'site')),
    person_id uuid,
    household_id uuid,
    headcount int CHECK (headcount > 0),
    quantity int NOT NULL CHECK (quantity > 0),
    unit text NOT NULL,
    asked_on date NOT NULL,
    planned_on date NOT NULL,
    needed_by date,
    priority int NOT NULL,
    rule_version int NOT NULL,
    place_area text NOT NULL,
    stay_area text,
    origin_area text,
    site_id uuid,
    ask jsonb NOT NULL,
    first_on date,
    last_on date,
    payee_ref uuid,
    hold_s int NOT NULL CHECK (hold_s > 0),
    collect_days int NOT NULL CHECK (collect_days > 0),
    splittable boolean NOT NULL,
    given boolean NOT NULL DEFAULT false,
    state text NOT NULL CHECK (state IN ('requested', 'approved', 'held', 'ready', 'fulfilled',
        'waitlisted', 'declined', 'cancelled', 'expired', 'referred')),
    attempt_no int NOT NULL DEFAULT 0 CHECK (attempt_no >= 0),
    supply smallint NOT NULL DEFAULT 0 CHECK (supply BETWEEN 0 AND 3),
    money smallint NOT NULL DEFAULT 0 CHECK (money BETWEEN 0 AND 3),
    deadline_at timestamptz,
    blocked_resource text CHECK (blocked_resource IN ('stock', 'bed', 'slot', 'money')),
    blocked_code text,
    blocked_site uuid,
    blocked_area text,
    blocked_quantity bigint CHECK (blocked_quantity > 0),
    wait text CHECK (wait IN ('short', 'behind', 'restricted', 'closed', 'recalled',
        'hold_expired', 'not_collected')),
    decided_at timestamptz,
    waiting_since timestamptz,
    retry_at timestamptz,
    woken boolean NOT NULL DEFAULT false,
    at_site_id uuid,
    told_at timestamptz,
    told_how text CHECK (told_how IN ('message', 'in_person')),
    message text,
    issued_attempt int NOT NULL DEFAULT 0,
    issued_no int NOT NULL DEFAULT 0,
    undone_attempt int NOT NULL DEFAULT 0,
    undone_no int NOT NULL DEFAULT 0,
    service_no int NOT NULL DEFAULT 0,
    served_on date,
    reason text,
    attention text,
    version int NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'waitlisted') = (blocked_resource IS NOT NULL)),
    CHECK ((state = 'waitlisted') = (waiting_since IS NOT NULL)),
    CHECK ((blocked_resource IS NULL) = (blocked_code IS NULL)),
    CHECK ((state IN ('approved', 'held')) = (deadline_at IS NOT NULL)),
    CHECK ((state = 'fulfilled') = (served_on IS NOT NULL))
);
ALTER TABLE need SET (fillfactor = 80);
CREATE INDEX need_request ON need (request_id);
CREATE INDEX need_person ON need (person_id, kind) WHERE person_id IS NOT NULL;
CREATE INDEX need_household ON need (household_id, kind) WHERE household_id IS NOT NULL;
CREATE INDEX need_state ON need (state, priority DESC, asked_on, id);
CREATE INDEX need_waiting ON need
    (blocked_resource, blocked_code, priority DESC, asked_on, id) WHERE state = 'waitlisted';
CREATE INDEX need_retry ON need (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX need_deadline ON need (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX need_last_day ON need (needed_by)
    WHERE needed_by IS NOT NULL AND state IN ('requested', 'waitlisted');

-- What happened to a need, in order. No words about the person.
CREATE TABLE need_event (
    need_id uuid NOT NULL REFERENCES need,
    version int NOT NULL,
    at timestamptz NOT NULL,
    note text NOT NULL,
    state text NOT NULL,
    attempt_no int NOT NULL,
    detail text,
    staff_id uuid,
    PRIMARY KEY (need_id, version)
);

-- Growth of supply or money, as far as no need was woken for it yet. `pending`: not all who may
-- use it were asked.
CREATE TABLE growth (
    id uuid PRIMARY KEY,
    resource text NOT NULL CHECK (resource IN ('stock', 'bed', 'slot', 'money')),
    code text,
    currency text,
    programmes text[],
    site_id uuid,
    area text,
    quantity bigint NOT NULL CHECK (quantity > 0),
    left_over bigint NOT NULL CHECK (left_over >= 0 AND left_over <= quantity),
    cap bigint,
    freed_by uuid,
    grew_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    pending boolean NOT NULL DEFAULT true,
    CHECK ((resource = 'money') = (code IS NULL)),
    CHECK ((resource = 'money') = (currency IS NOT NULL))
);
CREATE INDEX growth_supply ON growth (resource, code, grew_at) WHERE left_over > 0;
CREATE INDEX growth_money ON growth (currency, grew_at) WHERE left_over > 0;
CREATE INDEX growth_pending ON growth (received_at) WHERE pending;
CREATE INDEX growth_age ON growth (received_at);

-- Which need was woken for which growth, and what it took of it.
CREATE TABLE wake (
    need_id uuid NOT NULL REFERENCES need,
    growth_id uuid NOT NULL REFERENCES growth ON DELETE CASCADE,
    attempt_no int NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    status text NOT NULL CHECK (status IN ('asked', 'used', 'given_back')),
    PRIMARY KEY (need_id, growth_id)
);
CREATE INDEX wake_growth ON wake (growth_id);

CREATE TABLE import_job (
    id uuid PRIMARY KEY,
    source text NOT NULL,
    file_hash bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done')),
    rows_total int NOT NULL,
    next_row int NOT NULL DEFAULT 0,
    accepted int NOT NULL DEFAULT 0,
    skipped int NOT NULL DEFAULT 0,
    rejected int NOT NULL DEFAULT 0,
    problems jsonb NOT NULL DEFAULT '[]',
    started_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    staff_id uuid,
    UNIQUE (source, file_hash)
);

-- Rows taken in before. Both columns are keyed hashes: a source's row ids may say who it is.
CREATE TABLE import_row (
    row_key bytea PRIMARY KEY,
    content_hash bytea NOT NULL,
    need_id uuid NOT NULL REFERENCES need,
    job_id uuid NOT NULL REFERENCES import_job
);

-- migrate: rollback
DROP TABLE import_row, import_job, wake, growth, need_event, need, request, person_access,
    erased_person, person, household, kind;
