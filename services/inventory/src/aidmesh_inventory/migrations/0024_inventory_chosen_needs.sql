-- What of goods waits for needs that were chosen to be served from elsewhere, and rules for these.
-- depends: 0023_inventory_waiting

-- migrate: apply

ALTER TABLE waiting ADD COLUMN chosen boolean NOT NULL DEFAULT false;
ALTER TABLE ask_rule ADD COLUMN chosen_only boolean NOT NULL DEFAULT false;

-- migrate: rollback

ALTER TABLE ask_rule DROP COLUMN chosen_only;
ALTER TABLE waiting DROP COLUMN chosen;
