-- Days move on with a waiting need unless its request named them; then they can be its last.
-- depends: 0002_intake_queue

-- migrate: apply

CREATE INDEX need_last_on ON need (last_on)
    WHERE last_on IS NOT NULL AND state IN ('requested', 'waitlisted');

-- What was asked for before: the days are the kind's own where they are as many.
UPDATE need SET ask = jsonb_set(ask, '{days}', to_jsonb(last_on - first_on))
FROM kind
WHERE kind.code = need.kind AND last_on IS NOT NULL
    AND state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
    AND last_on - first_on = (CASE body -> 'capacity' ->> 'resource'
        WHEN 'bed' THEN body -> 'capacity' ->> 'nights'
        ELSE body -> 'capacity' ->> 'within_days' END)::int;

-- migrate: rollback

UPDATE need SET ask = ask - 'days' WHERE ask ? 'days';
DROP INDEX need_last_on;
