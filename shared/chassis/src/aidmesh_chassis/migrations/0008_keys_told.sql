-- every key that a peer told, since what a former one signed is still on its way
-- depends: 0007_standings

-- migrate: apply

CREATE TABLE peer_key_told (
    region text NOT NULL,
    purpose text NOT NULL,
    version int NOT NULL,
    public bytea NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, purpose, version)
);
INSERT INTO peer_key_told (region, purpose, version, public)
SELECT region, purpose, version, public FROM peer_key;

-- migrate: rollback

DROP TABLE peer_key_told;
