-- Free slots are looked for by site and kind, earliest first.
-- depends: 0007_inventory_prescriptions

-- migrate: apply

CREATE INDEX slot_free_at_site ON slot (site_id, code, starts_at)
    WHERE status = 'open' AND taken < seats;
DROP INDEX slot_free;

-- migrate: rollback

CREATE INDEX slot_free ON slot (code, starts_at) WHERE status = 'open' AND taken < seats;
DROP INDEX slot_free_at_site;
