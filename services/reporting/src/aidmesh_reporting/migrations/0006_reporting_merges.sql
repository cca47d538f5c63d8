-- A merge of two records can be taken back, so the merges themselves are kept.
-- depends: 0005_reporting_sensitive_services

-- migrate: apply

-- A merge that was taken back stays, so that the news of it may come first.
CREATE TABLE merge_edge (
    person_id uuid NOT NULL,
    into_id uuid NOT NULL,
    merge_no int NOT NULL CHECK (merge_no > 0),
    undone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (person_id, into_id, merge_no)
);
CREATE INDEX merge_edge_into ON merge_edge (into_id);

INSERT INTO merge_edge (person_id, into_id, merge_no)
SELECT DISTINCT (body ->> 'person_id')::uuid, (body ->> 'into_person_id')::uuid, 1
FROM (SELECT convert_from(payload, 'UTF8')::jsonb AS body FROM fact_event
    WHERE type = 'intake.person.merged.v1') AS merged;

-- Others do not know yet which lines are sensitive, nor which months are settled.
INSERT INTO dirty_month (month)
SELECT month FROM published_month UNION SELECT month FROM settled_month
ON CONFLICT DO NOTHING;

-- migrate: rollback
DROP TABLE merge_edge;
