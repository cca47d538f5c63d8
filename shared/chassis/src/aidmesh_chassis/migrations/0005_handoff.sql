-- what is handed over to one other region, and the public keys of the others
-- depends: 0004_message_path

-- migrate: apply

-- Sealed messages for a peer region. `waiting` is published again and again until that region's
-- service has answered (its answer commits with its inbox row); an answer itself is settled by
-- the peer's stream. `withdrawn`: whoever it spoke of was erased before. Rows stay, as in outbox.
CREATE TABLE handoff (
    event_id uuid PRIMARY KEY,
    to_region text NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea,
    payload_hash bytea NOT NULL,
    awaits_answer boolean NOT NULL,
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'settled', 'withdrawn')),
    created_at timestamptz NOT NULL DEFAULT now(),
    next_at timestamptz NOT NULL DEFAULT now(),
    tries int NOT NULL DEFAULT 0,
    published_at timestamptz,
    settled_at timestamptz,
    CHECK ((status = 'settled') = (settled_at IS NOT NULL)),
    CHECK (status <> 'waiting' OR payload IS NOT NULL)
);
CREATE INDEX handoff_waiting ON handoff (next_at) WHERE status = 'waiting';
CREATE INDEX handoff_sealed ON handoff (settled_at) WHERE status = 'settled' AND payload IS NOT NULL;

-- What this service told of its own public keys, and what it knows of those of its peers.
CREATE TABLE own_key (
    purpose text PRIMARY KEY,
    version int NOT NULL,
    public bytea NOT NULL
);
CREATE TABLE peer_key (
    region text NOT NULL,
    purpose text NOT NULL,
    version int NOT NULL,
    public bytea NOT NULL,
    PRIMARY KEY (region, purpose)
);

-- Handoffs hold sealed personal data as well.
DROP INDEX dead_letter_sealed;
CREATE INDEX dead_letter_sealed ON dead_letter (first_at)
    WHERE (starts_with(subject, 'private.') OR starts_with(subject, 'handoff.')) AND payload <> '';

-- migrate: rollback

DROP INDEX dead_letter_sealed;
CREATE INDEX dead_letter_sealed ON dead_letter (first_at)
    WHERE starts_with(subject, 'private.') AND payload <> '';
DROP TABLE peer_key, own_key, handoff;
