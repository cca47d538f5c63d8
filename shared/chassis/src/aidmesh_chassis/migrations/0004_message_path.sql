-- month partitions beside rows that came early, an inbox keyed by the id alone, blanking by index
-- depends: 0003_erasure

-- migrate: apply

-- Replaces the first version, which failed where rows of the month were in the default partition
-- already, and which locked the whole table. One caller at a time, as migrations are.
CREATE OR REPLACE FUNCTION ensure_month_partitions(parent regclass, months_ahead int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day date;
    starts text;
    ends text;
    child text;
    by_column name;
    others regclass;
BEGIN
    SELECT a.attname, p.partdefid INTO by_column, others
    FROM pg_partitioned_table p
    JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent;
    FOR i IN 0..months_ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
        starts := first_day::text || ' 00:00+00';
        ends := (first_day + interval '1 month')::date::text || ' 00:00+00';
        child := format('%s_%s', parent::text, to_char(first_day, 'YYYY_MM'));
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(711001);
        -- Whoever writes a row of this month now waits, and then finds its partition. This lock
        -- also lets the next line see what others did meanwhile.
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', others);
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       child, parent);
        EXECUTE format('WITH early AS (DELETE FROM %s WHERE %I >= %L AND %I < %L RETURNING *)'
                       ' INSERT INTO %I SELECT * FROM early',
                       others, by_column, starts, by_column, ends, child);
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       parent, child, starts, ends);
    END LOOP;
END $$;

-- The inbox was unique by (event_id, occurred_at) with the time that the message named: the same
-- id under another time would have been handled twice. Now the second half of the key follows
-- from the id: the time in a time-ordered id, one and the same day for all others.
CREATE FUNCTION inbox_time(event_id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN uuid_extract_version(event_id) = 7 THEN uuid_extract_timestamp(event_id)
            ELSE timestamptz '1970-01-01 00:00+00' END;

CREATE TABLE inbox_without_time PARTITION OF inbox
    FOR VALUES FROM ('1970-01-01 00:00+00') TO ('1970-01-02 00:00+00');

WITH old AS (
    DELETE FROM inbox WHERE occurred_at <> inbox_time(event_id) RETURNING *)
INSERT INTO inbox (event_id, occurred_at, content_hash, received_at)
SELECT event_id, inbox_time(event_id), content_hash, received_at FROM old
ON CONFLICT DO NOTHING;

-- What is still to be blanked; without it every round would read the blanked rows of all years.
CREATE INDEX outbox_sealed ON outbox (acked_at)
    WHERE stream = 'PRIVATE' AND status = 'acked' AND payload IS NOT NULL;
CREATE INDEX dead_letter_sealed ON dead_letter (first_at)
    WHERE starts_with(subject, 'private.') AND payload <> '';

-- migrate: rollback
DROP INDEX dead_letter_sealed, outbox_sealed;
ALTER TABLE inbox DETACH PARTITION inbox_without_time;
INSERT INTO inbox SELECT * FROM inbox_without_time;
DROP TABLE inbox_without_time;
DROP FUNCTION inbox_time;
