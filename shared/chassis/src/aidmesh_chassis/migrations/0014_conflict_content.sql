-- what was set aside and may count yet is kept whole, to be handled once it is heard that it does
-- depends: 0013_dropped

-- migrate: apply

-- `place`: the order in which they came, also within a batch. What is handed over comes again until
-- it is answered, so its content is not kept though it may count.
ALTER TABLE conflict
    ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN may_count boolean NOT NULL DEFAULT false,
    ADD COLUMN subject text,
    ADD COLUMN headers jsonb,
    ADD COLUMN payload bytea,
    ADD CONSTRAINT conflict_content_check CHECK (
        num_nulls(subject, headers, payload) IN (0, 3) AND (may_count OR payload IS NULL));
CREATE INDEX conflict_may_count ON conflict (region, epoch) WHERE may_count;

-- migrate: rollback
DROP INDEX conflict_may_count;
ALTER TABLE conflict DROP CONSTRAINT conflict_content_check, DROP COLUMN place,
    DROP COLUMN may_count, DROP COLUMN subject, DROP COLUMN headers, DROP COLUMN payload;
