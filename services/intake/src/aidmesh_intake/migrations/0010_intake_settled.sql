-- A person settles what needed one: two services for one need.
-- depends: 0009_intake_growth_day

-- migrate: apply

-- How the last conflict was settled; null while one is open.
ALTER TABLE need ADD COLUMN settled text CHECK (settled IN ('given_twice', 'taken_back')),
    ADD CHECK (attention IS NULL OR settled IS NULL);

-- migrate: rollback

ALTER TABLE need DROP COLUMN settled;
