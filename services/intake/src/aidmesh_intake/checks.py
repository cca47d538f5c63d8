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
        "links_are_of_those_who_agree",
        "nobody is looked for or linked who did not agree to it, or was erased",
        """
        SELECT format('lookup %s is of person %s', l.id, p.id)
        FROM lookup_out l JOIN person p ON p.id = l.person_id
        LEFT JOIN person r ON r.id = p.merged_into
        WHERE p.erased_at IS NOT NULL OR NOT coalesce(r.consents, p.consents) ? 'same_person'
        UNION ALL
        SELECT format('link %s is of person %s', l.id, p.id)
        FROM person_link l JOIN person p ON p.id = l.person_id
        LEFT JOIN person r ON r.id = p.merged_into
        WHERE p.erased_at IS NOT NULL OR NOT coalesce(r.consents, p.consents) ? 'same_person'
        """,
    ),
    Check(
        "erased_stay_erased",
        "whoever was erased has a tombstone, nothing readable left, and no open need",
        """
        SELECT format('person %s has no tombstone', p.id) FROM person p
        WHERE p.erased_at IS NOT NULL
          AND NOT EXISTS (SELECT FROM erased_person e WHERE e.person_id = p.id)
        UNION ALL
        SELECT format('person %s came back', p.id)
        FROM person p JOIN erased_person e ON e.person_id = p.id
        WHERE p.erased_at IS NULL OR p.details IS NOT NULL OR p.wrapped_key IS NOT NULL
           OR p.code_lookup IS NOT NULL
        UNION ALL
        SELECT format('need %s of erased person %s is %s', n.id, n.person_id, n.state)
        FROM need n JOIN erased_person e ON e.person_id = n.person_id
        WHERE n.state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
          AND n.changed_at < now() - interval '5 minutes'
        UNION ALL
        SELECT format('household %s came back', h.id)
        FROM household h JOIN erased_household e ON e.household_id = h.id
        WHERE h.erased_at IS NULL OR h.wrapped_key IS NOT NULL OR h.code_lookup IS NOT NULL
        UNION ALL
        SELECT format('request %s says why', r.id) FROM request r
        WHERE r.sealed_reasons IS NOT NULL
          AND (r.person_id IN (SELECT person_id FROM erased_person)
               OR (r.person_id IS NULL
                   AND r.household_id IN (SELECT household_id FROM erased_household)))
        """,
    ),
    Check(
        "offers_over_say_nothing",
        "what an offer said of a person whom the other region will not serve is not kept for it",
        """
        SELECT format('referral %s is %s, and what it says is kept for %s', r.id, r.status,
                      h.to_region)
        FROM referral_out r JOIN handoff h ON h.headers ->> 'ce-subject' = r.id::text
        WHERE r.status IN ('refused', 'lapsed', 'withdrawn') AND h.awaits_answer
          AND h.headers ->> 'ce-type' = 'intake.referral.offered.v1' AND h.payload IS NOT NULL
        """,
    ),
    Check(
        "offers_by_rule",
        "what a rule offers is a need of its kind, to a region that it names",
        """
        SELECT format('referral %s of a %s to %s by rule %s', r.id, n.kind, r.to_region, f.id)
        FROM referral_out r JOIN refer_rule f ON f.id = r.rule_id JOIN need n ON n.id = r.need_id
        WHERE n.kind <> f.kind OR NOT r.to_region = ANY (f.regions) OR r.staff_id <> f.set_by
        """,
    ),
)
