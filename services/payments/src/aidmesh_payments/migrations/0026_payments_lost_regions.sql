-- Regions declared lost: who said so, what their grantors took back, and what they owe since.
-- depends: 0025_payments_rebalancing

-- migrate: apply

-- One lead asks, another one decides.
CREATE TABLE lost_declaration (
    id uuid PRIMARY KEY,
    region text NOT NULL,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'confirmed', 'withdrawn')),
    asked_by uuid NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    decided_by uuid,
    decided_at timestamptz,
    CHECK ((state = 'asked') = (decided_by IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK (state <> 'confirmed' OR decided_by <> asked_by)
);
CREATE UNIQUE INDEX lost_declaration_open ON lost_declaration (region) WHERE state = 'asked';

-- At the grantor: what a lost holder had free, by the last figures known, is used anew. The
-- transfer is a return that the grantor booked by itself.
CREATE TABLE reissue (
    allotment_id uuid NOT NULL REFERENCES grant_allotment,
    epoch int NOT NULL CHECK (epoch > 0),
    holder text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    figures_as_of timestamptz,
    booked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (allotment_id, epoch)
);

-- At the holder, when it is back: what it still owes of that, and what it gave back in vain and
-- has to tell anew once its epoch is raised. It may be heard before the allotment has come.
CREATE TABLE taken_back (
    allotment_id uuid NOT NULL,
    epoch int NOT NULL CHECK (epoch > 0),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    owed_minor bigint NOT NULL CHECK (owed_minor BETWEEN 0 AND amount_minor),
    untold_minor bigint NOT NULL DEFAULT 0 CHECK (untold_minor >= 0),
    heard_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (allotment_id, epoch)
);

-- What was told anew of it, as a sum; it may be in vain again.
CREATE TABLE told_return (
    id uuid PRIMARY KEY,
    allotment_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    epoch int NOT NULL CHECK (epoch > 0),
    settled boolean NOT NULL DEFAULT false
);
CREATE INDEX told_return_allotment ON told_return (allotment_id);

-- In which epoch of the sender money was sent.
ALTER TABLE transfer ADD COLUMN epoch int NOT NULL DEFAULT 1 CHECK (epoch > 0);

-- migrate: rollback

ALTER TABLE transfer DROP COLUMN epoch;
DROP TABLE told_return, taken_back, reissue, lost_declaration;
