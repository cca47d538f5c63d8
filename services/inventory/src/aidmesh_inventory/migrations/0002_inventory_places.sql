-- Beds by night, slots by time, assets, and what other regions say they have.
-- depends: 0001_inventory_stock

-- migrate: apply

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE bed (
    id uuid PRIMARY KEY,
    site_id uuid NOT NULL REFERENCES site,
    label text NOT NULL,
    room text NOT NULL,
    code text NOT NULL,
    features text[] NOT NULL DEFAULT '{}',
    owner text NOT NULL DEFAULT 'own' CHECK (owner IN ('own', 'outside')),
    grant_id uuid,
    night_minor bigint NOT NULL DEFAULT 0 CHECK (night_minor >= 0),
    currency char(3) NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
    UNIQUE (site_id, label)
);
CREATE INDEX bed_active ON bed (code, site_id) WHERE status = 'active';

-- Whoever sleeps in a bed. The constraint is the last word: no night of a bed has two guests.
CREATE TABLE bed_booking (
    reservation_id uuid NOT NULL REFERENCES reservation,
    bed_id uuid NOT NULL REFERENCES bed,
    stay daterange NOT NULL,
    live boolean NOT NULL DEFAULT true,
    left_on date,
    PRIMARY KEY (reservation_id, bed_id),
    CONSTRAINT bed_one_guest EXCLUDE USING gist (bed_id WITH =, stay WITH &&) WHERE (live)
);

CREATE TABLE slot (
    id uuid PRIMARY KEY,
    site_id uuid NOT NULL REFERENCES site,
    code text NOT NULL,
    professional text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    minutes int NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    seats int NOT NULL CHECK (seats > 0),
    taken int NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'cancelled')),
    CONSTRAINT slot_seats CHECK (0 <= taken AND taken <= seats),
    CHECK (ends_at > starts_at),
    CONSTRAINT slot_one_place EXCLUDE USING gist
        (professional WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (status = 'open')
);
CREATE INDEX slot_free ON slot (code, starts_at) WHERE status = 'open' AND taken < seats;
CREATE INDEX slot_at_site ON slot (site_id, starts_at);

CREATE TABLE slot_booking (
    reservation_id uuid PRIMARY KEY REFERENCES reservation,
    slot_id uuid NOT NULL REFERENCES slot,
    seats int NOT NULL CHECK (seats > 0),
    live boolean NOT NULL DEFAULT true
);
CREATE INDEX slot_booking_slot ON slot_booking (slot_id) WHERE live;

-- The mutex and version of one kind of place at one site, and what was last told of it.
CREATE TABLE capacity_state (
    site_id uuid NOT NULL REFERENCES site,
    resource text NOT NULL CHECK (resource IN ('bed', 'slot')),
    code text NOT NULL,
    version int NOT NULL DEFAULT 0,
    first_on date,
    free_by_day int[] NOT NULL DEFAULT '{}',
    total int NOT NULL DEFAULT 0,
    PRIMARY KEY (site_id, resource, code)
);

CREATE TABLE asset (
    id uuid PRIMARY KEY,
    item text NOT NULL REFERENCES item,
    serial text,
    grant_id uuid,
    unit_value_minor bigint NOT NULL CHECK (unit_value_minor >= 0),
    currency char(3) NOT NULL,
    site_id uuid NOT NULL REFERENCES site,
    reservation_id uuid NOT NULL REFERENCES reservation,
    lot_id uuid NOT NULL REFERENCES lot,
    status text NOT NULL CHECK (status IN ('in_use', 'written_off', 'lost', 'taken_back')),
    status_reason text,
    since date NOT NULL
);
CREATE INDEX asset_site ON asset (site_id, id);
CREATE INDEX asset_grant ON asset (grant_id, id);
CREATE INDEX asset_reservation ON asset (reservation_id);

CREATE TABLE world_site (
    region text NOT NULL,
    site_id uuid NOT NULL,
    area text NOT NULL,
    site_type text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'closed')),
    epoch int NOT NULL,
    version int NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (region, site_id)
);
CREATE TABLE world_stock (
    region text NOT NULL,
    site_id uuid NOT NULL,
    item text NOT NULL,
    area text NOT NULL,
    on_hand int NOT NULL,
    free int NOT NULL,
    epoch int NOT NULL,
    version int NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (region, site_id, item)
);
CREATE TABLE world_capacity (
    region text NOT NULL,
    site_id uuid NOT NULL,
    resource text NOT NULL CHECK (resource IN ('bed', 'slot')),
    code text NOT NULL,
    area text NOT NULL,
    first_on date NOT NULL,
    free_by_day int[] NOT NULL,
    total int NOT NULL,
    epoch int NOT NULL,
    version int NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (region, site_id, resource, code)
);

-- migrate: rollback
DROP TABLE world_capacity, world_stock, world_site, asset, capacity_state, slot_booking, slot,
    bed_booking, bed;
