-- needs that count in a queue, found by their ids without reading those that don't
-- depends: 0014_intake_growth_totals

-- migrate: apply

CREATE INDEX need_in_queue ON need (id) WHERE woken OR state = 'waitlisted';

-- migrate: rollback

DROP INDEX need_in_queue;
