-- An erasure finds what was handed over of somebody without reading all that ever was.
-- depends: 0005_handoff

-- migrate: apply

CREATE INDEX handoff_aggregate ON handoff ((headers ->> 'ce-subject'))
    WHERE payload IS NOT NULL AND awaits_answer;

-- migrate: rollback

DROP INDEX handoff_aggregate;
