-- Households have a key of their own, and can be erased.
-- depends: 0005_intake_confirmed_start

-- migrate: apply

-- `wrapped_key` is made when the first note is written that belongs to no single member. Deleting
-- it makes such notes unreadable, as with a person's key.
ALTER TABLE household
    ADD COLUMN wrapped_key bytea,
    ADD COLUMN erased_at timestamptz,
    ADD CHECK (erased_at IS NULL OR (wrapped_key IS NULL AND code_lookup IS NULL));

-- Copied outside backups like `erased_person`.
CREATE TABLE erased_household (
    household_id uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    staff_id uuid
);
CREATE INDEX request_household ON request (household_id) WHERE household_id IS NOT NULL;

-- migrate: rollback

DROP INDEX request_household;
DROP TABLE erased_household;
ALTER TABLE household DROP COLUMN wrapped_key, DROP COLUMN erased_at;
