"""What must hold in intake's books; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "no_need_overdue",
        "no need stays approved or held past its deadline by more than a sweep",
        """
        SELECT format('need %s %s since %s', id, state, deadline_at) FROM need
        WHERE state IN ('approved', 'held') AND deadline_at < now() - interval '60 seconds'
        """,
    ),
    Check(
        "timelines_complete",
        "a need's timeline ends with the state it is in",
        """
        SELECT format('need %s is %s, its timeline says %s', n.id, n.state, e.state)
        FROM need n
        JOIN LATERAL (
            SELECT state FROM need_event WHERE need_id = n.id ORDER BY version DESC LIMIT 1
        ) e ON true
        WHERE e.state <> n.state
        """,
    ),
    Check(
        "erased_stay_erased",
        "nothing readable is left of an erased person",
        """
        SELECT format('person %s', p.id) FROM person p JOIN erased_person e ON e.person_id = p.id
        WHERE p.details IS NOT NULL OR p.wrapped_key IS NOT NULL OR p.code_lookup IS NOT NULL
        """,
    ),
)
