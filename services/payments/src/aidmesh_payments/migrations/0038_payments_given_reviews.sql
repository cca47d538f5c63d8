-- Cash that one person entered as given is looked at by a second one.
-- depends: 0037_payments_owed_returns

-- migrate: apply

CREATE TABLE given_review (
    need_id uuid PRIMARY KEY,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    given_on date NOT NULL,
    entered_by uuid,
    review_due_at timestamptz NOT NULL,
    reviewer uuid,
    reviewed_at timestamptz,
    CHECK ((reviewer IS NULL) = (reviewed_at IS NULL))
);
CREATE INDEX given_review_open ON given_review (review_due_at, need_id) WHERE reviewer IS NULL;

-- migrate: rollback

DROP TABLE given_review;
