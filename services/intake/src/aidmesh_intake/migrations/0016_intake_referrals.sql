-- Referrals: needs offered to other regions, and those that other regions offer.
-- depends: 0015_intake_in_queues

-- migrate: apply

ALTER TABLE need
    -- Referred here, and not let go of by the region it comes from.
    ADD COLUMN pending boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT need_wait_check,
    ADD CONSTRAINT need_wait_check CHECK (wait IN ('short', 'behind', 'restricted', 'closed',
        'recalled', 'hold_expired', 'not_collected', 'offered'));

CREATE TABLE referral_out (
    id uuid PRIMARY KEY,
    need_id uuid NOT NULL REFERENCES need,
    to_region text NOT NULL,
    status text NOT NULL CHECK (status IN ('offered', 'confirmed', 'refused', 'lapsed',
        'withdrawn')),
    reason text,
    lapses_at timestamptz NOT NULL,
    offered_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    staff_id uuid NOT NULL
);
CREATE UNIQUE INDEX referral_out_open ON referral_out (need_id) WHERE status = 'offered';
CREATE INDEX referral_out_need ON referral_out (need_id);
CREATE INDEX referral_out_lapse ON referral_out (lapses_at) WHERE status = 'offered';
CREATE INDEX referral_out_list ON referral_out (offered_at DESC, id);

-- `sealed` goes when the offer is taken or over. What was made of one that came to nothing is
-- ended, and `cleared_at` says when.
CREATE TABLE referral_in (
    id uuid PRIMARY KEY,
    from_region text NOT NULL,
    status text NOT NULL CHECK (status IN ('offered', 'taken', 'accepted', 'confirmed', 'refused',
        'withdrawn')),
    reason text,
    lapses_at timestamptz,
    sealed bytea,
    need_id uuid UNIQUE REFERENCES need,
    person_id uuid REFERENCES person,
    staff_id uuid,
    received_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    cleared_at timestamptz,
    CHECK ((status = 'offered') = (sealed IS NOT NULL)),
    CHECK (status NOT IN ('taken', 'accepted', 'confirmed') OR need_id IS NOT NULL),
    CHECK ((need_id IS NULL) = (person_id IS NULL))
);
CREATE INDEX referral_in_list ON referral_in (received_at DESC, id);
CREATE INDEX referral_in_uncleared ON referral_in (changed_at)
    WHERE status IN ('refused', 'withdrawn') AND need_id IS NOT NULL AND cleared_at IS NULL;

-- migrate: rollback

DROP TABLE referral_in, referral_out;
ALTER TABLE need DROP COLUMN pending, DROP CONSTRAINT need_wait_check,
    ADD CONSTRAINT need_wait_check CHECK (wait IN ('short', 'behind', 'restricted', 'closed',
        'recalled', 'hold_expired', 'not_collected'));
