-- The order in which needs were recorded decides between those asked for on one day.
-- depends: 0001_intake

-- migrate: apply

CREATE SEQUENCE need_queue_no;
ALTER TABLE need ADD COLUMN queue_no bigint;
UPDATE need SET queue_no = numbered.queue_no
FROM (SELECT id, row_number() OVER (ORDER BY recorded_at, id) AS queue_no FROM need) AS numbered
WHERE need.id = numbered.id;
SELECT setval('need_queue_no', coalesce(max(queue_no), 0) + 1, false) FROM need;
ALTER TABLE need ALTER COLUMN queue_no SET NOT NULL;

DROP INDEX need_state;
DROP INDEX need_waiting;
CREATE INDEX need_state ON need (state, priority DESC, asked_on, queue_no);
CREATE INDEX need_waiting ON need
    (blocked_resource, blocked_code, priority DESC, asked_on, queue_no)
    WHERE state = 'waitlisted';

-- migrate: rollback
DROP INDEX need_state;
DROP INDEX need_waiting;
CREATE INDEX need_state ON need (state, priority DESC, asked_on, id);
CREATE INDEX need_waiting ON need
    (blocked_resource, blocked_code, priority DESC, asked_on, id) WHERE state = 'waitlisted';
ALTER TABLE need DROP COLUMN queue_no;
DROP SEQUENCE need_queue_no;
