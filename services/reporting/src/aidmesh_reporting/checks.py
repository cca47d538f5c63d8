"""What must hold in reporting's read models; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "results_are_what_events_said",
        "services, their people and their reversals are those of the events that were kept",
        """
        WITH kept AS (
            SELECT type, convert_from(payload, 'UTF8')::jsonb AS body FROM fact_event
            WHERE type IN ('intake.need.fulfilled.v1', 'intake.need.reversed.v1')
        ), said AS (
            SELECT type, (body ->> 'need_id')::uuid AS need_id,
                   (body ->> 'service_no')::int AS service_no, body
            FROM kept
        ), people AS (
            SELECT need_id, service_no, person_id::uuid AS person_id
            FROM said, jsonb_array_elements_text(COALESCE(body -> 'person_ids', '[]')) AS person_id
            WHERE type = 'intake.need.fulfilled.v1'
        )
        SELECT format('need %s service %s: %s', need_id, service_no,
                      CASE WHEN s.kind IS NULL THEN 'not counted' ELSE 'nobody told of it' END)
        FROM service s
        FULL JOIN (SELECT need_id, service_no, body ->> 'kind' AS kind,
                          (body ->> 'quantity')::bigint AS quantity FROM said
                   WHERE type = 'intake.need.fulfilled.v1') e USING (need_id, service_no)
        WHERE (s.kind, s.quantity) IS DISTINCT FROM (e.kind, e.quantity)
        UNION ALL
        SELECT format('need %s service %s: person %s is %s', need_id, service_no, person_id,
                      CASE WHEN e.seen THEN 'not counted' ELSE 'counted too much' END)
        FROM (SELECT need_id, service_no, person_id, true AS seen FROM service_person) s
        FULL JOIN (SELECT *, true AS seen FROM people) e USING (need_id, service_no, person_id)
        WHERE s.seen IS DISTINCT FROM e.seen
        UNION ALL
        SELECT format('need %s service %s: reversal %s', need_id, service_no,
                      CASE WHEN e.seen THEN 'not counted' ELSE 'nobody told of' END)
        FROM (SELECT need_id, service_no, true AS seen FROM reversal) r
        FULL JOIN (SELECT DISTINCT need_id, service_no, true AS seen FROM said
                   WHERE type = 'intake.need.reversed.v1') e USING (need_id, service_no)
        WHERE r.seen IS DISTINCT FROM e.seen
        """,
    ),
    Check(
        "facts_count_as_booked",
        "aid entered as given counts where and for whom inventory booked it last",
        """
        WITH told AS (
            SELECT DISTINCT ON (body ->> 'need_id') (body ->> 'need_id')::uuid AS need_id,
                   body ->> 'area' AS area, COALESCE(body -> 'shares', '[]') AS shares
            FROM (SELECT event_id, occurred_at, convert_from(payload, 'UTF8')::jsonb AS body
                  FROM fact_event WHERE type = 'inventory.aid.booked.v1') e
            ORDER BY body ->> 'need_id', occurred_at DESC, event_id DESC
        ), said AS (
            SELECT need_id, area, (
                SELECT array_agg(format('%s %s %s', s ->> 'grant_id', s ->> 'amount_minor',
                                        s ->> 'currency') ORDER BY position)
                FROM jsonb_array_elements(shares) WITH ORDINALITY AS n (s, position)) AS shares
            FROM told
        ), counted AS (
            SELECT need_id, area, (
                SELECT array_agg(format('%s %s %s', grant_id, amount_minor, currency)
                                 ORDER BY position)
                FROM booked_share s WHERE s.need_id = b.need_id) AS shares
            FROM booked_fact b
        )
        SELECT format('need %s: booked in %s for %s, counted in %s for %s', need_id, s.area,
                      s.shares, c.area, c.shares)
        FROM said s FULL JOIN counted c USING (need_id)
        WHERE s.need_id IS NULL OR c.need_id IS NULL
           OR (s.area, s.shares) IS DISTINCT FROM (c.area, c.shares)
        """,
    ),
)
