-- Outbox, inbox and dead letters: what every service's database has.
-- depends:

-- migrate: apply

-- History of every event this service published. Rows are never deleted: streams are rebuilt
-- from them. `status`, `ack_seq` and `stream_created` say where JetStream put the event.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT now(),
    event_id uuid NOT NULL,
    stream text NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea,
    payload_hash bytea NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'acked')),
    retry_at timestamptz,
    ack_seq bigint,
    stream_created timestamptz,
    acked_at timestamptz,
    CHECK ((status = 'acked') = (ack_seq IS NOT NULL)),
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
CREATE INDEX outbox_pending ON outbox (seq) WHERE status = 'pending';
CREATE INDEX outbox_acked ON outbox (stream, ack_seq) WHERE status = 'acked';

-- Every event taken in, for good: a partition lasts longer than any deduplication window.
CREATE TABLE inbox (
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    content_hash bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;

-- Messages that could not be handled: `failing` counts attempts, `parked` is tried again at
-- `retry_at`, `dead` waits for a person, `done` and `dropped` are how it ended.
CREATE TABLE dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    durable text NOT NULL,
    event_id uuid NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    status text NOT NULL CHECK (status IN ('failing', 'parked', 'dead', 'done', 'dropped')),
    reason text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    retry_at timestamptz,
    first_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    decided_by text,
    note text,
    UNIQUE (durable, event_id)
);
CREATE INDEX dead_letter_open ON dead_letter (status, retry_at)
    WHERE status IN ('failing', 'parked', 'dead');

-- Makes this month's partition and the next ones of `parent`; safe to call at any time.
CREATE FUNCTION ensure_month_partitions(parent regclass, months_ahead int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day date;
    child text;
BEGIN
    FOR i IN 0..months_ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
        child := format('%s_%s', parent::text, to_char(first_day, 'YYYY_MM'));
        IF to_regclass(child) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                child, parent, first_day::text || ' 00:00+00',
                (first_day + interval '1 month')::date::text || ' 00:00+00');
        END IF;
    END LOOP;
END $$;

-- migrate: rollback
DROP FUNCTION ensure_month_partitions;
DROP TABLE dead_letter, inbox, outbox;
