-- Nights and what grants bore of them belong to one check-in, not to every one of the need.
-- depends: 0002_reporting_sensitive

-- migrate: apply

-- NULL where the event was told before it named its issue.
ALTER TABLE service ADD COLUMN attempt_no int, ADD COLUMN issue_no int;
ALTER TABLE stay ADD COLUMN attempt_no int, ADD COLUMN issue_no int,
    ADD COLUMN has_shares boolean NOT NULL DEFAULT false;

-- What grants bore once the nights were known, in place of the service's own shares.
CREATE TABLE stay_share (
    reservation_id uuid NOT NULL REFERENCES stay,
    position int NOT NULL,
    grant_id uuid,
    amount_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    PRIMARY KEY (reservation_id, position)
);

-- migrate: rollback

DROP TABLE stay_share;
ALTER TABLE stay DROP COLUMN attempt_no, DROP COLUMN issue_no, DROP COLUMN has_shares;
ALTER TABLE service DROP COLUMN attempt_no, DROP COLUMN issue_no;
