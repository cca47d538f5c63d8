-- That somebody looked at a prescription before they handed over what needs one.
-- depends: 0006_inventory_destination

-- migrate: apply

-- A day and a role, nothing of what the prescription says.
CREATE TABLE prescription_seen (
    reservation_id uuid NOT NULL REFERENCES reservation,
    issue_no int NOT NULL,
    seen_on date NOT NULL,
    role text NOT NULL,
    PRIMARY KEY (reservation_id, issue_no)
);

-- migrate: rollback
DROP TABLE prescription_seen;
