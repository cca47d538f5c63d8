-- People who are known in two regions are counted once in the whole.
-- depends: 0010_reporting_unlisted

-- migrate: apply

-- Links in force. One that is over stays without a person, so that the news of it may come first.
CREATE TABLE person_link (
    link_id uuid PRIMARY KEY,
    person_id uuid,
    region text,
    CHECK ((person_id IS NULL) = (region IS NULL))
);
CREATE INDEX person_link_person ON person_link (person_id) WHERE person_id IS NOT NULL;

-- In which months the other side of a link had a service, as it says; and what it was told of ours.
-- Both go with the link. Neither is part of what a rebuild makes anew: no stream keeps it.
CREATE TABLE link_heard (
    link_id uuid PRIMARY KEY,
    region text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    months text[] NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE link_told (
    link_id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    months text[] NOT NULL
);

-- migrate: rollback

DROP TABLE link_told, link_heard, person_link;
