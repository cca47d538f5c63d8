"""`domain.waitlist.Waiter`, told to the database: which growth `g` is for which need `w`.

Queries that use these texts give `SLACK` as their first parameter. The rule itself stands in the
domain; a test compares the two, case by case.
"""

from typing import Final

CONCERNS: Final = """(
    w.state = 'waitlisted' AND w.blocked_resource = g.resource
    AND (w.blocked_code = g.code
        OR (g.resource = 'money' AND split_part(w.blocked_code, '/', 2) = g.currency
            AND (g.programmes IS NULL OR split_part(w.blocked_code, '/', 1) = ANY(g.programmes))))
    AND (w.blocked_site IS NULL OR g.site_id IS NULL OR w.blocked_site = g.site_id)
    AND (w.blocked_area IS NULL OR g.area IS NULL OR starts_with(g.area, w.blocked_area))
    AND w.id IS DISTINCT FROM g.freed_by)"""
"""It is growth of what the need waits for, and not its own."""

MAY_USE: Final = """(
    (g.cap IS NULL OR w.blocked_quantity <= g.cap)
    AND CASE WHEN w.decided_at IS NULL THEN g.received_at >= w.waiting_since
        ELSE g.grew_at + $1::interval > w.decided_at END
    AND NOT EXISTS (SELECT FROM wake x WHERE x.need_id = w.id AND x.growth_id = g.id))"""
"""`Waiter.may_use`, where it concerns the need."""

KEEPS: Final = """(
    w.wait = 'short' AND NOT w.splittable AND w.blocked_quantity > g.left_over)"""
"""`Waiter.keeps`, where it concerns the need."""
