-- Budget lines as they were before an amendment, beside amount and end of the grant.
-- depends: 0022_payments_demands

-- migrate: apply

CREATE TABLE amended_line (
    grant_id uuid NOT NULL,
    terms_version int NOT NULL,
    code text NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (grant_id, terms_version, code),
    FOREIGN KEY (grant_id, terms_version) REFERENCES grant_amendment
);

-- migrate: rollback

DROP TABLE amended_line;
