-- People who are known in two regions: blind queries, and links that both regions decide about.
-- depends: 0017_intake_elsewhere

-- migrate: apply

-- Whoever agreed to be looked for is listed in each answer to another region.
CREATE INDEX person_looked_for ON person (id) WHERE consents ? 'same_person';

-- Queries to other regions. `secrets` is encrypted under the person's key; both it and what was
-- answered go when they were compared, the person with their consent.
CREATE TABLE lookup_out (
    id uuid PRIMARY KEY,
    person_id uuid REFERENCES person,
    to_region text NOT NULL,
    status text NOT NULL CHECK (status IN ('asked', 'answered', 'matched', 'nothing', 'refused',
        'withdrawn')),
    secrets bytea,
    sealed bytea,
    asked_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    staff_id uuid NOT NULL,
    CHECK ((status IN ('asked', 'answered')) = (secrets IS NOT NULL)),
    CHECK ((status = 'answered') = (sealed IS NOT NULL)),
    CHECK ((status = 'withdrawn') = (person_id IS NULL))
);
CREATE INDEX lookup_out_person ON lookup_out (person_id) WHERE person_id IS NOT NULL;
CREATE UNIQUE INDEX lookup_out_open ON lookup_out (person_id, to_region)
    WHERE status IN ('asked', 'answered');
CREATE INDEX lookup_out_answered ON lookup_out (changed_at) WHERE status = 'answered';
CREATE INDEX lookup_out_list ON lookup_out (asked_at DESC, id);
CREATE INDEX lookup_out_region ON lookup_out (to_region, asked_at);

-- Queries of other regions. `answered_at` is what the limit counts. `listed` says whose the values
-- of the answer were, which no key can make again. A query that was withdrawn before it came, or
-- is over, stays without anything in it.
CREATE TABLE lookup_in (
    id uuid PRIMARY KEY,
    from_region text NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'answered', 'closed', 'done')),
    sealed bytea,
    listed bytea,
    received_at timestamptz NOT NULL,
    answered_at timestamptz,
    CHECK ((status IN ('waiting', 'closed')) = (sealed IS NOT NULL)),
    CHECK ((status IN ('answered', 'closed')) = (listed IS NOT NULL))
);
CREATE INDEX lookup_in_waiting ON lookup_in (received_at) WHERE status = 'waiting';
CREATE INDEX lookup_in_closed ON lookup_in (answered_at) WHERE status = 'closed';
CREATE INDEX lookup_in_answered ON lookup_in (answered_at) WHERE answered_at IS NOT NULL;

CREATE TABLE person_link (
    id uuid PRIMARY KEY,
    region text NOT NULL,
    person_id uuid REFERENCES person,
    lookup_id uuid,
    by text[] NOT NULL DEFAULT '{}',
    mine text NOT NULL DEFAULT 'open' CHECK (mine IN ('open', 'yes', 'no', 'gone')),
    theirs text NOT NULL DEFAULT 'open' CHECK (theirs IN ('open', 'yes', 'no', 'gone')),
    was_linked boolean NOT NULL DEFAULT false,
    found_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    staff_id uuid,
    CHECK (person_id IS NULL OR 'gone' NOT IN (mine, theirs)),
    CHECK (mine NOT IN ('yes', 'no') OR person_id IS NOT NULL OR theirs = 'gone')
);
CREATE INDEX person_link_person ON person_link (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX person_link_list ON person_link (found_at DESC, id) WHERE person_id IS NOT NULL;

-- migrate: rollback

DROP TABLE person_link, lookup_in, lookup_out;
DROP INDEX person_looked_for;
