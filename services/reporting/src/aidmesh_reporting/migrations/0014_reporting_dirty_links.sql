-- Which links to look at again: those of people of whom something was taken in since.
-- depends: 0013_reporting_booked_facts

-- migrate: apply

CREATE TABLE dirty_link (link_id uuid PRIMARY KEY);
INSERT INTO dirty_link (link_id) SELECT link_id FROM person_link WHERE person_id IS NOT NULL;

-- migrate: rollback

DROP TABLE dirty_link;
