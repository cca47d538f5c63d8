-- When the other region said what is shown of it: own steps change rows as well.
-- depends: 0032_payments_offices_of_payouts

-- migrate: apply

ALTER TABLE rebalancing ADD COLUMN answered_at timestamptz;
COMMENT ON COLUMN rebalancing.answered_at IS 'When the holder said what is known of it.';
ALTER TABLE return_ask ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN return_ask.told_at IS 'When the grantor said what is known of it.';

-- Of older rows it is known only since when at the latest; a figure may seem older, never fresher.
UPDATE rebalancing SET answered_at = proposed_at WHERE answer_version > 0;
UPDATE return_ask SET told_at = heard_at;
ALTER TABLE return_ask ALTER COLUMN told_at SET NOT NULL;

-- migrate: rollback

ALTER TABLE return_ask DROP COLUMN told_at;
ALTER TABLE rebalancing DROP COLUMN answered_at;
