-- Facts that results are made of, each as its event told it; nothing here decides anything.
-- depends:

-- migrate: apply

-- Every event taken in, for good: the read models below can be rebuilt from it.
CREATE TABLE fact_event (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    region text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    payload bytea NOT NULL
);
CREATE INDEX fact_event_occurred ON fact_event (occurred_at);

CREATE TABLE service (
    need_id uuid NOT NULL,
    service_no int NOT NULL CHECK (service_no > 0),
    event_id uuid NOT NULL,
    kind text NOT NULL,
    programme text NOT NULL,
    area text NOT NULL,
    site_id uuid,
    asked_on date NOT NULL,
    served_on date NOT NULL,
    month text NOT NULL,
    quantity bigint NOT NULL,
    unit text NOT NULL,
    headcount int,
    PRIMARY KEY (need_id, service_no)
);
CREATE INDEX service_served ON service (served_on, need_id, service_no);

-- Comes before its service now and then, so it can't refer to it.
CREATE TABLE reversal (
    need_id uuid NOT NULL,
    service_no int NOT NULL CHECK (service_no > 0),
    event_id uuid NOT NULL,
    reason text NOT NULL,
    reversed_at timestamptz NOT NULL,
    PRIMARY KEY (need_id, service_no)
);

CREATE TABLE service_person (
    need_id uuid NOT NULL,
    service_no int NOT NULL,
    person_id uuid NOT NULL,
    PRIMARY KEY (need_id, service_no, person_id),
    FOREIGN KEY (need_id, service_no) REFERENCES service
);
CREATE INDEX service_person_person ON service_person (person_id);

CREATE TABLE share (
    need_id uuid NOT NULL,
    service_no int NOT NULL,
    position int NOT NULL,
    grant_id uuid,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    PRIMARY KEY (need_id, service_no, position),
    FOREIGN KEY (need_id, service_no) REFERENCES service
);

-- Nights are known at check-out only; until then the service tells those booked so far.
CREATE TABLE stay (
    reservation_id uuid PRIMARY KEY,
    need_id uuid NOT NULL,
    nights int NOT NULL CHECK (nights >= 0),
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL
);
CREATE INDEX stay_need ON stay (need_id);

-- `fulfils`: the payment was the service and is among its shares already.
CREATE TABLE spend (
    commitment_id uuid NOT NULL,
    spend_no int NOT NULL CHECK (spend_no > 0),
    event_id uuid NOT NULL,
    need_id uuid NOT NULL,
    grant_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    spent_on date NOT NULL,
    fulfils boolean NOT NULL,
    PRIMARY KEY (commitment_id, spend_no)
);
CREATE INDEX spend_need ON spend (need_id);

CREATE TABLE spend_reversal (
    commitment_id uuid NOT NULL,
    spend_no int NOT NULL CHECK (spend_no > 0),
    event_id uuid NOT NULL,
    need_id uuid NOT NULL,
    PRIMARY KEY (commitment_id, spend_no)
);

-- Records that are one person, each with the one that stands for all of them.
CREATE TABLE same_person (
    person_id uuid PRIMARY KEY,
    root_id uuid NOT NULL
);
CREATE INDEX same_person_root ON same_person (root_id);

CREATE TABLE waiting (
    need_id uuid PRIMARY KEY,
    attempt_no int NOT NULL CHECK (attempt_no >= 0),
    kind text NOT NULL,
    area text NOT NULL,
    asked_on date NOT NULL,
    resource text NOT NULL,
    code text NOT NULL,
    quantity bigint NOT NULL
);

CREATE TABLE closed_need (
    need_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('declined', 'cancelled', 'expired', 'referred')),
    reason text NOT NULL
);

CREATE TABLE grant_name (
    grant_id uuid PRIMARY KEY,
    region text NOT NULL,
    code text NOT NULL,
    donor text NOT NULL,
    currency char(3) NOT NULL,
    status text NOT NULL,
    version int NOT NULL CHECK (version > 0)
);

CREATE TABLE world_month (
    region text NOT NULL,
    month text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    as_of timestamptz NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (region, month)
);

-- Months whose numbers may have changed since they were published.
CREATE TABLE dirty_month (
    month text PRIMARY KEY
);

-- Decided or told to others, so not part of what a rebuild makes anew.
CREATE TABLE published_month (
    month text PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    content_hash bytea NOT NULL,
    as_of timestamptz NOT NULL
);

CREATE TABLE settled_month (
    month text PRIMARY KEY,
    settled_at timestamptz NOT NULL DEFAULT now(),
    settled_by uuid NOT NULL
);

-- migrate: rollback
DROP TABLE settled_month, published_month, dirty_month, world_month, grant_name, closed_need,
    waiting, same_person, spend_reversal, spend, stay, share, service_person, reversal, service,
    fact_event;
