-- the time of an inbox row, read from its id by arithmetic: PostgreSQL 17 knows version 1 only
-- depends: 0009_restored

-- migrate: apply

-- uuid_extract_timestamp reads version 7 since PostgreSQL 18. The same milliseconds come out here,
-- so the keys of rows that are there stay what they are.
CREATE OR REPLACE FUNCTION inbox_time(event_id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN uuid_extract_version(event_id) = 7
            THEN to_timestamp(
                ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0::float8)
            ELSE timestamptz '1970-01-01 00:00+00' END;

-- migrate: rollback
CREATE OR REPLACE FUNCTION inbox_time(event_id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN uuid_extract_version(event_id) = 7 THEN uuid_extract_timestamp(event_id)
            ELSE timestamptz '1970-01-01 00:00+00' END;
