"""What intake's checks promise, broken."""

from e2e.breaks.breaking import Break

LOOKED_FOR_UNASKED = """
    INSERT INTO lookup_out (id, person_id, to_region, status, asked_at, changed_at, staff_id)
    SELECT gen_random_uuid(), id, 'lviv', 'nothing', now(), now(), id FROM person
    WHERE NOT consents ? 'same_person' LIMIT 1
"""
INTAKE = (
    Break(
        "intake.no_need_overdue",
        "intake",
        """
        WITH n AS (
            UPDATE need SET state = 'held', deadline_at = now() - interval '1 hour'
            WHERE id = {some_ready} RETURNING id
        )
        UPDATE need_event e SET state = 'held' FROM n WHERE e.need_id = n.id
        """,
    ),
    Break(
        "intake.timelines_complete",
        "intake",
        "UPDATE need_event SET state = 'held' WHERE need_id = {some_ready}",
    ),
    Break(
        "intake.offers_by_rule",
        "intake",
        """
        WITH rule AS (
            INSERT INTO refer_rule (id, kind, open_max, hours, set_at, set_by)
            VALUES (gen_random_uuid(), 'counseling', 1, 1, now(), gen_random_uuid())
            RETURNING id, set_by
        )
        INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at,
                                  changed_at, staff_id, rule_id)
        SELECT gen_random_uuid(), {some_ready}, 'lviv', 'lapsed', now(), now(), now(), set_by, id
        FROM rule
        """,
    ),
    Break(
        "intake.offers_over_say_nothing",
        "intake",
        """
        WITH offer AS (
            INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at,
                                      changed_at, staff_id)
            VALUES (gen_random_uuid(), {some_ready}, 'lviv', 'lapsed', now(), now(), now(),
                    gen_random_uuid())
            RETURNING id
        )
        INSERT INTO handoff (event_id, to_region, subject, headers, payload, payload_hash,
                             awaits_answer, status)
        SELECT gen_random_uuid(), 'lviv', 'x',
               jsonb_build_object('ce-subject', id, 'ce-type', 'intake.referral.offered.v1'),
               '', '', true, 'withdrawn'
        FROM offer
        """,
    ),
    Break("intake.erased_stay_erased", "intake", "DELETE FROM erased_person"),
    Break("intake.links_are_of_those_who_agree", "intake", LOOKED_FOR_UNASKED),
)
