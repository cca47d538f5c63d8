-- What a donor changed in a grant, and how it was before.
-- depends: 0014_payments_grant_corrections

-- migrate: apply

CREATE TABLE grant_amendment (
    grant_id uuid NOT NULL REFERENCES donor_grant,
    terms_version int NOT NULL CHECK (terms_version > 1),
    amount_minor bigint NOT NULL,
    period_to date NOT NULL,
    reason text NOT NULL,
    amended_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (grant_id, terms_version)
);

-- migrate: rollback

DROP TABLE grant_amendment;
