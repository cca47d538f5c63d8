-- A total of free seats counts once, in whatever order totals and single growth come in.
-- depends: 0013_intake_merges

-- migrate: apply

ALTER TABLE growth
    ADD COLUMN is_total boolean NOT NULL DEFAULT false,
    -- A later total has counted it: nothing is given back to it any more.
    ADD COLUMN voided boolean NOT NULL DEFAULT false;
CREATE INDEX growth_day ON growth (code, site_id, on_day) WHERE on_day IS NOT NULL;

-- migrate: rollback

DROP INDEX growth_day;
ALTER TABLE growth DROP COLUMN voided, DROP COLUMN is_total;
