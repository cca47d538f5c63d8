-- Two members of staff say that two records are one person, and it can be undone.
-- depends: 0012_intake_reasons_access

-- migrate: apply

-- Each merge says which record went behind which; `person.merged_into` is what follows from those
-- in force. `merge_no` counts the merges of one pair: with it an undoing names the merge it undoes.
CREATE TABLE person_merge (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person,
    into_id uuid NOT NULL REFERENCES person,
    state text NOT NULL CHECK (state IN ('proposed', 'merged', 'withdrawn', 'undone')),
    merge_no int CHECK (merge_no > 0),
    proposed_by uuid,
    proposed_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    undone_by uuid,
    undone_at timestamptz,
    CHECK (person_id <> into_id),
    CHECK ((merge_no IS NOT NULL) = (state IN ('merged', 'undone'))),
    UNIQUE (person_id, into_id, merge_no)
);
CREATE UNIQUE INDEX person_merge_proposed ON person_merge (person_id, into_id)
    WHERE state = 'proposed';
CREATE UNIQUE INDEX person_merge_in_force ON person_merge (person_id) WHERE state = 'merged';
CREATE INDEX person_merge_into ON person_merge (into_id) WHERE state IN ('proposed', 'merged');

INSERT INTO person_merge (id, person_id, into_id, state, merge_no, proposed_at)
SELECT gen_random_uuid(), id, merged_into, 'merged', 1, now() FROM person
WHERE merged_into IS NOT NULL;

-- migrate: rollback
DROP TABLE person_merge;
