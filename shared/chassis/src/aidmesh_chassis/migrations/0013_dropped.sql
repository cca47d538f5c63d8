-- what a person dropped counts as taken in, so that no copy of it is handled
-- depends: 0012_told_since

-- migrate: apply

-- Without a hash: of what was blanked since nobody knows the content.
INSERT INTO inbox (event_id, occurred_at, content_hash)
SELECT event_id, inbox_time(event_id), '' FROM dead_letter
WHERE status = 'dropped' AND decided_by IS NOT NULL
ON CONFLICT DO NOTHING;

-- migrate: rollback
DELETE FROM inbox WHERE content_hash = '';
