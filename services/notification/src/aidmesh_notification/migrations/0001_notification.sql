-- Contacts (sealed), messages and who of the staff wants a digest.
-- depends:

-- migrate: apply

-- One row a person, also after erasure: a card that arrives late must not come back to life.
CREATE TABLE contact (
    person_id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version >= 0),
    sealed bytea,
    erased_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((sealed IS NULL) = (erased_at IS NOT NULL))
);

-- Attempts of a need, up to this number, that need no message any more: withdrawn or told.
CREATE TABLE attempt_over (
    need_id uuid PRIMARY KEY,
    attempt_no int NOT NULL CHECK (attempt_no > 0)
);

CREATE TABLE subscription (
    staff_id uuid PRIMARY KEY,
    sealed bytea NOT NULL,
    last_digest_on date,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- The queue: which message, never to which address and never its text. A message speaks of one
-- attempt of a need, or it is a digest for one member of staff.
CREATE TABLE message (
    message_id uuid PRIMARY KEY,
    template text NOT NULL,
    need_id uuid,
    attempt_no int,
    person_id uuid,
    staff_id uuid,
    sensitive boolean NOT NULL,
    collect_days int NOT NULL CHECK (collect_days >= 0),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN (
        'queued', 'sending', 'sent', 'delivered', 'suppressed', 'failed', 'expired', 'unknown')),
    reason text CHECK (reason IN (
        'no_safe_contact', 'erased', 'superseded', 'expired', 'failed', 'rejected', 'unknown')),
    channel text CHECK (channel IN ('email', 'sms', 'file')),
    tries int NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    claim_id uuid,
    claimed_until timestamptz,
    sent_at timestamptz,
    settled_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((need_id IS NULL) = (attempt_no IS NULL)),
    CHECK ((need_id IS NULL) <> (staff_id IS NULL)),
    CHECK ((state = 'sending') = (claim_id IS NOT NULL)),
    CHECK ((state = 'sending') = (claimed_until IS NOT NULL)),
    CHECK ((state IN ('sent', 'delivered')) = (sent_at IS NOT NULL)),
    CHECK ((state IN ('suppressed', 'failed', 'expired', 'unknown')) = (reason IS NOT NULL))
);
CREATE INDEX message_due ON message (due_at, message_id) WHERE state = 'queued';
CREATE INDEX message_claimed ON message (claimed_until) WHERE state = 'sending';
CREATE INDEX message_need ON message (need_id);
CREATE INDEX message_page ON message (queued_at, message_id);
CREATE INDEX message_to_tell ON message (queued_at, message_id)
    WHERE settled_at IS NULL AND state IN ('suppressed', 'failed', 'expired', 'unknown');
CREATE INDEX message_person ON message (person_id)
    WHERE settled_at IS NULL AND state IN ('queued', 'suppressed');

-- migrate: rollback
DROP TABLE message, subscription, attempt_over, contact;
