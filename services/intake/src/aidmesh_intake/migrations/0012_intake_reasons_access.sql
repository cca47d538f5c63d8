-- Who read the answers and the note of a request leaves a trace too, for whomever it is.
-- depends: 0011_intake_overrides

-- migrate: apply

ALTER TABLE person_access
    ALTER COLUMN person_id DROP NOT NULL,
    ADD COLUMN request_id uuid REFERENCES request,
    ADD CHECK (person_id IS NOT NULL OR request_id IS NOT NULL);
CREATE INDEX person_access_request ON person_access (request_id, at) WHERE request_id IS NOT NULL;

-- migrate: rollback
DROP INDEX person_access_request;
DELETE FROM person_access WHERE person_id IS NULL;
ALTER TABLE person_access DROP COLUMN request_id, ALTER COLUMN person_id SET NOT NULL;
