"""What is still open between a region that wants to retire and the others, by their databases."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import asyncpg


class Question(NamedTuple):
    """What may be open in the database of a service (of each, if None), one line of text each.

    It is asked in the databases of the region and of its peers here; `who` names the region that
    is to retire, and whose database (`here`) it is, `gone` the others that are lost or have
    retired, as that database knows. What waits for one of those stands in nobody's way, but what
    its peers have for the region that retires does, even after its last word.
    """

    service: str | None
    sql: str


_WHO = """
    WITH who AS (SELECT $1::text AS region, $2::text AS here), gone AS (
        SELECT s.region AS name FROM region_standing s, who
        WHERE s.standing IN ('lost', 'retired') AND s.region <> here)
"""
QUESTIONS: Final = (
    Question(
        None,
        """
        SELECT format('%s events are not published', count(*)) FROM outbox, who
        WHERE status = 'pending' AND region = here HAVING count(*) > 0
        """,
    ),
    Question(
        None,
        """
        SELECT format('%s messages could not be handled', count(*)) FROM dead_letter, who
        WHERE status IN ('dead', 'failing', 'parked') AND who.region = here HAVING count(*) > 0
        """,
    ),
    Question(
        None,
        """
        SELECT format('%s handoffs are not answered by %s', count(*), to_region) FROM handoff, who
        WHERE status = 'waiting' AND (to_region = region OR region = here
                                      AND to_region NOT IN (SELECT name FROM gone))
        GROUP BY to_region
        """,
    ),
    Question(
        "payments",
        """
        SELECT format('money is on its way from %s to %s (transfer %s)', from_region, to_region, id)
        FROM transfer, who
        WHERE state = 'in_transit' AND region IN (here, from_region, to_region)
          AND NOT (region = here AND EXISTS (
              SELECT FROM gone WHERE name IN (from_region, to_region)))
        """,
    ),
    Question(
        "payments",
        """
        SELECT format('allotment %s of %s has %s held, %s committed and %s not returned (%s, '
                      'minor units)', id, grantor, held_minor, committed_minor, free_minor,
                      currency)
        FROM allotment CROSS JOIN who CROSS JOIN LATERAL (
            SELECT CASE WHEN grantor = here OR grantor IN (SELECT name FROM gone) THEN 0 ELSE
                received_minor - returned_minor - held_minor - committed_minor - spent_minor
            END AS free_minor) f
        WHERE region = here AND held_minor + committed_minor + free_minor > 0
        """,
    ),
    Question(
        "payments",
        """
        SELECT format('allotment %s is with %s, which has not spent or returned all of it', m.id,
                      m.holder)
        FROM grant_allotment m CROSS JOIN who
        LEFT JOIN allotment_elsewhere e ON e.allotment_id = m.id AND e.holder = m.holder
        WHERE who.region = here AND m.holder <> here
          AND m.amount_minor - m.returned_minor > COALESCE(e.spent_minor, 0)
          AND m.holder NOT IN (SELECT name FROM gone)
        """,
    ),
    Question(
        "payments",
        """
        SELECT format('payout %s of %s is not paid', o.id, o.region) FROM paying_order o, who
        WHERE o.state IN ('received', 'exported') AND who.region IN (here, o.region)
        """,
    ),
    Question(
        "payments",
        """
        SELECT format('moving money from %s to %s is proposed (%s)', holder, to_region, id)
        FROM rebalancing, who
        WHERE (state = 'proposed' OR (state = 'returned' AND hindrance IS NULL))
          AND region IN (here, holder, to_region)
        """,
    ),
    Question(
        "inventory",
        """
        SELECT format('shipment %s from %s to %s is %s', id, from_region, to_region, state)
        FROM shipment, who
        WHERE state NOT IN ('received', 'cancelled') AND region IN (here, from_region, to_region)
          -- Whose turn it is: what is still to be cancelled, or counted, here is people's work.
          AND NOT (region = here AND CASE state WHEN 'preparing' THEN from_region ELSE to_region
                                     END IN (SELECT name FROM gone))
        """,
    ),
    Question(
        "inventory",
        """
        SELECT format('%s has not answered what %s asks for (%s)', from_region, to_region, id)
        FROM transfer, who
        WHERE state = 'asked' AND region IN (here, from_region, to_region)
        """,
    ),
    Question(
        "intake",
        """
        SELECT format('a need is offered to %s (referral %s)', to_region, id)
        FROM referral_out, who WHERE status = 'offered' AND region IN (here, to_region)
        """,
    ),
    Question(
        "intake",
        """
        SELECT format('a need that %s offers is not decided (referral %s)', from_region, id)
        FROM referral_in, who
        WHERE status IN ('offered', 'taken', 'accepted') AND region IN (here, from_region)
        """,
    ),
)


async def open_in(
    region: str, here: str, connections: Mapping[str, asyncpg.Connection]
) -> list[str]:
    """What is open with a region in the databases of one; a line each.

    Args:
        region: that is to retire.
        here: whose databases these are, by service.
    """
    return [
        f"{here}.{service}: {row[0]}"
        for service, conn in connections.items()
        for question in QUESTIONS
        if question.service in (None, service)
        for row in await conn.fetch(f"{_WHO} {question.sql}", region, here)
    ]
