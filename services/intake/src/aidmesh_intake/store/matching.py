"""`domain.waitlist.Waiter`, told to the database: which growth `g` is for which need `w`.

Queries that use these texts give the day in Kyiv as their first parameter and `SLACK` as their
second. The rule itself stands in the domain; a test compares the two, case by case.
"""

from typing import Final

FIRST_ON: Final = """
    CASE WHEN w.ask -> 'capacity' ? 'as_written' THEN w.first_on
    ELSE greatest(w.first_on, $1::date) END"""
"""The first day of the place that the need's next attempt asks for; see `Ask.place_on`."""

LAST_ON: Final = """
    CASE WHEN w.ask ? 'days' THEN least(
        greatest(w.first_on, $1::date) + (w.ask ->> 'days')::int,
        CASE WHEN w.blocked_resource = 'slot' THEN w.needed_by END)
    ELSE w.last_on END"""
"""Its last day, or the end of its nights; null without an end."""

WAITING: Final = """(
    SELECT * FROM need
    WHERE state = 'waitlisted' AND blocked_resource = g.resource AND blocked_code = g.code
    UNION ALL
    SELECT * FROM need
    WHERE g.resource = 'money' AND state = 'waitlisted' AND blocked_resource = 'money'
        AND split_part(blocked_code, '/', 2) = g.currency)"""
"""Where to look for needs that growth may concern: two ways, each found by the index."""

CONCERNS: Final = f"""(
    w.state = 'waitlisted' AND w.wait <> 'offered' AND w.blocked_resource = g.resource
    AND (w.blocked_code = g.code
        OR (g.resource = 'money' AND split_part(w.blocked_code, '/', 2) = g.currency
            AND (g.programmes IS NULL OR split_part(w.blocked_code, '/', 1) = ANY(g.programmes))))
    AND (w.blocked_site IS NULL OR g.site_id IS NULL OR w.blocked_site = g.site_id)
    AND (w.blocked_area IS NULL OR g.area IS NULL OR starts_with(g.area, w.blocked_area))
    AND w.id IS DISTINCT FROM g.freed_by
    AND (g.on_day IS NULL
        OR g.on_day BETWEEN {FIRST_ON} AND coalesce({LAST_ON}, date 'infinity')))"""
"""It is growth of what the need waits for, on a day that will do, and not its own.

What is offered to another region waits for that one's answer."""

LET_GO: Final = "(w.wait IN ('hold_expired', 'not_collected'))"
"""`Waiter.let_go`."""

MAY_USE: Final = f"""(
    (g.cap IS NULL OR w.blocked_quantity <= g.cap)
    AND CASE WHEN w.decided_at IS NULL THEN g.received_at >= w.waiting_since
        ELSE g.grew_at + CASE WHEN {LET_GO} THEN interval '0' ELSE $2::interval END
            > w.decided_at END
    AND NOT EXISTS (SELECT FROM wake x WHERE x.need_id = w.id AND x.growth_id = g.id))"""
"""`Waiter.may_use`, where it concerns the need."""

KEEPS: Final = """(
    w.wait = 'short' AND NOT w.splittable AND w.blocked_quantity > g.left_over)"""
"""`Waiter.keeps`, where it concerns the need."""
