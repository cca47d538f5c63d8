-- What waits no longer is not kept among what waits: a page of that read all that ever did.
-- depends: 0014_reporting_dirty_links

-- migrate: apply

DELETE FROM waiting w USING unlisted u WHERE u.need_id = w.need_id AND u.version > w.version;

-- migrate: rollback

-- It was not shown either.
SELECT 1;
