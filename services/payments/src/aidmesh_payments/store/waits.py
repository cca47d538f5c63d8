"""Money that needs wait for, here and elsewhere, what could serve them, and what was sent."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId, TransferId
from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_contracts.payments_waits import STEP_MINOR, WaitChangedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.grants import OVERHEAD, Line
from aidmesh_payments.domain.waits import Key, Wait

SETTLE_S: Final = 60.0
"""What arrived so lately still finds those who wait for it, seconds."""
ASIDE_DAYS: Final = 7
"""What a person set aside comes again after so many days, even if it is no more."""
OWN_EPOCH: Final = 1
"""The own figures are ordered by their version alone."""
WAITS_MAX: Final = 500


async def put_waiting(conn: asyncpg.Connection, told: Sequence[WaitingChangedV1]) -> None:
    """Keep the newest sums of each key, as the own intake tells them."""
    parts = [each.code.partition("/") for each in told]
    await conn.execute(
        """
        INSERT INTO waiting_money AS w (key, programme, currency, sensitive, amount_minor, version,
                                        chosen)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::bigint[],
            $6::int[], $7::bool[]) AS n (key) ORDER BY n.key
        ON CONFLICT (key) DO UPDATE
        SET amount_minor = EXCLUDED.amount_minor, version = EXCLUDED.version
        WHERE EXCLUDED.version > w.version
        """,
        [each.waiting_key for each in told],
        [programme for programme, _, _ in parts],
        [currency for _, _, currency in parts],
        [each.sensitive for each in told],
        [each.quantity for each in told],
        [each.version for each in told],
        [each.chosen for each in told],
    )


async def take_untold(conn: asyncpg.Connection, region: str) -> list[Wait]:
    """Sums that are others than was told, as they are now; from now on they are told.

    What is sensitive is not among them.
    """
    rows = await conn.fetch(
        """
        WITH now AS (
            SELECT programme, currency,
                   (sum(amount_minor)::bigint + $2::bigint - 1) / $2::bigint * $2::bigint
                       AS amount_minor,
                   (COALESCE(sum(amount_minor) FILTER (WHERE chosen), 0)::bigint + $2::bigint - 1)
                       / $2::bigint * $2::bigint AS chosen_minor
            FROM waiting_money WHERE NOT sensitive GROUP BY 1, 2
        )
        INSERT INTO wait AS t (region, programme, currency, amount_minor, chosen_minor, epoch,
                               version, as_of)
        SELECT $1::text, n.programme, n.currency, n.amount_minor, n.chosen_minor, $3, 1,
               clock_timestamp()
        FROM now n LEFT JOIN wait w
            ON (w.region, w.programme, w.currency) = ($1::text, n.programme, n.currency)
        WHERE (n.amount_minor, n.chosen_minor)
            <> (COALESCE(w.amount_minor, 0), COALESCE(w.chosen_minor, 0))
        ORDER BY 2, 3 LIMIT $4
        ON CONFLICT (region, programme, currency) DO UPDATE
        SET amount_minor = EXCLUDED.amount_minor, chosen_minor = EXCLUDED.chosen_minor,
            version = t.version + 1, as_of = EXCLUDED.as_of
        RETURNING region, programme, currency, amount_minor, version, as_of, chosen_minor
        """,
        region,
        STEP_MINOR,
        OWN_EPOCH,
        WAITS_MAX,
    )
    return [Wait(*row) for row in rows]


async def put_told(conn: asyncpg.Connection, told: Sequence[Received[WaitChangedV1]]) -> None:
    """Keep what other regions tell; the highest epoch and version hold."""
    newest: dict[Key, Received[WaitChangedV1]] = {}
    for each in told:
        key = (each.region, each.event.programme, each.event.currency)
        known = newest.get(key)
        if known is None or _order(known) < _order(each):
            newest[key] = each
    await conn.execute(
        """
        INSERT INTO wait AS w (region, programme, currency, amount_minor, epoch, version, as_of,
                               chosen_minor)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::int[],
            $6::int[], $7::timestamptz[], $8::bigint[]) AS n (region, programme, currency)
        ORDER BY n.region, n.programme, n.currency
        ON CONFLICT (region, programme, currency) DO UPDATE
        SET amount_minor = EXCLUDED.amount_minor, chosen_minor = EXCLUDED.chosen_minor,
            epoch = EXCLUDED.epoch, version = EXCLUDED.version, as_of = EXCLUDED.as_of
        WHERE (EXCLUDED.epoch, EXCLUDED.version) > (w.epoch, w.version)
        """,
        [region for region, _, _ in newest],
        [programme for _, programme, _ in newest],
        [currency for _, _, currency in newest],
        [each.event.amount_minor for each in newest.values()],
        [each.epoch for each in newest.values()],
        [each.event.version for each in newest.values()],
        [each.event.as_of for each in newest.values()],
        [each.event.chosen_minor for each in newest.values()],
    )


def _order(told: Received[WaitChangedV1]) -> tuple[int, int]:
    return told.epoch, told.event.version


async def lock(conn: asyncpg.Connection) -> None:
    """Have nobody else serve waits until the transaction ends; before anything else is locked."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('waits', 0))")


async def now(conn: asyncpg.Connection) -> datetime:
    """The database's clock."""
    found: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return found


async def waits(conn: asyncpg.Connection) -> list[Wait]:
    """What is waited for, as the regions told it."""
    rows = await conn.fetch(
        """
        SELECT region, programme, currency, amount_minor, version, as_of, chosen_minor FROM wait
        WHERE amount_minor > 0 ORDER BY region, programme, currency LIMIT $1
        """,
        WAITS_MAX,
    )
    return [Wait(*row) for row in rows]


class Money(NamedTuple):
    """A budget line of an active grant of the own region, and what of the grant is unallotted."""

    grant_id: GrantId
    currency: str
    unallotted_minor: int
    restriction: Restriction
    line: Line


async def unallotted(conn: asyncpg.Connection) -> list[Money]:
    """Lines of active grants, whether or not anything is left in them; not the overhead."""
    rows = await conn.fetch(
        """
        SELECT g.id, g.currency, g.unallotted_minor, t.restriction, l.code, l.amount_minor,
               l.flexibility_percent, l.allotted_minor, l.cost_categories
        FROM donor_grant g JOIN grant_terms t ON t.grant_id = g.id
        JOIN budget_line l ON l.grant_id = g.id
        WHERE g.status = 'active' AND l.code <> $1 ORDER BY g.id, l.code
        """,
        OVERHEAD,
    )
    return [
        Money(
            GrantId(row["id"]),
            row["currency"],
            row["unallotted_minor"],
            Restriction.model_validate_json(row["restriction"]),
            Line(
                row["code"],
                row["amount_minor"],
                row["flexibility_percent"],
                row["allotted_minor"],
                None if row["cost_categories"] is None else tuple(row["cost_categories"]),
            ),
        )
        for row in rows
    ]


class Free(NamedTuple):
    """What a holder has free of an own grant, less what it is asked for already.

    Attributes:
        as_of: when the holder said so; None for the own region.
    """

    allotment_id: AllotmentId
    grant_id: GrantId
    budget_line: str
    holder: str
    currency: str
    free_minor: int
    as_of: datetime | None


async def free_of_holders(conn: asyncpg.Connection, today: date) -> list[Free]:
    """Free money of holders of the own grants, as they told it last; the own region's as it is."""
    rows = await conn.fetch(
        """
        SELECT m.id, m.grant_id, m.budget_line, m.holder, m.currency,
               k.free_minor - COALESCE((
                   SELECT sum(r.amount_minor) FROM rebalancing r
                   WHERE r.allotment_id = m.id AND r.state = 'proposed'), 0)::bigint, k.as_of
        FROM grant_allotment m JOIN (
            SELECT id, received_minor - returned_minor - held_minor - committed_minor
                   - spent_minor AS free_minor, NULL::timestamptz AS as_of
            FROM allotment WHERE status = 'active'
            UNION ALL
            SELECT allotment_id, received_minor - returned_minor - held_minor - committed_minor
                   - spent_minor, as_of FROM allotment_elsewhere WHERE status = 'active'
        ) k ON k.id = m.id
        JOIN donor_grant g ON g.id = m.grant_id AND g.status = 'active'
        WHERE m.recall_reason IS NULL AND (m.valid_until IS NULL OR m.valid_until >= $1)
          AND k.free_minor > 0
        ORDER BY m.id
        """,
        today,
    )
    return [Free(*row) for row in rows]


async def coming(conn: asyncpg.Connection) -> dict[Key, int]:
    """What was sent or proposed for a wait, and is not there yet or came a moment ago."""
    rows = await conn.fetch(
        """
        SELECT w.region, w.programme, w.currency, sum(CASE
            WHEN x.id IS NOT NULL THEN x.amount_minor
            WHEN r.state = 'proposed' THEN COALESCE(r.prepared_minor, r.amount_minor)
            WHEN r.state = 'returned' THEN r.returned_minor
            ELSE 0 END)::bigint AS amount_minor
        FROM wait_move w LEFT JOIN rebalancing r ON r.id = w.rebalancing_id
        LEFT JOIN transfer x ON x.id = COALESCE(w.transfer_id, r.sending_id)
        WHERE x.id IS NULL OR x.state = 'in_transit'
           OR COALESCE(x.arrived_at, x.recorded_at) > clock_timestamp() - $1::interval
        GROUP BY 1, 2, 3
        """,
        timedelta(seconds=SETTLE_S),
    )
    return {(row["region"], row["programme"], row["currency"]): row["amount_minor"] for row in rows}


async def note_move(
    conn: asyncpg.Connection,
    move_id: UUID,
    wait: Wait,
    amount_minor: int,
    made_by: UUID,
    *,
    transfer_id: TransferId | None = None,
    rebalancing_id: RebalancingId | None = None,
    rule_id: UUID | None = None,
) -> None:
    """Remember what was done for a wait, so that it is not done twice."""
    await conn.execute(
        """
        INSERT INTO wait_move (id, region, programme, currency, amount_minor, wait_as_of,
                               transfer_id, rebalancing_id, rule_id, made_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        move_id,
        *wait.key,
        amount_minor,
        wait.as_of,
        transfer_id,
        rebalancing_id,
        rule_id,
        made_by,
    )


async def aside(conn: asyncpg.Connection) -> dict[Key, int]:
    """What was set aside lately, and how much of it."""
    rows = await conn.fetch(
        """
        SELECT region, programme, currency, amount_minor FROM wait_aside
        WHERE set_at > clock_timestamp() - $1::interval
        """,
        timedelta(days=ASIDE_DAYS),
    )
    return {(row["region"], row["programme"], row["currency"]): row["amount_minor"] for row in rows}


async def set_aside(conn: asyncpg.Connection, key: Key, amount_minor: int, by: UUID) -> None:
    """Have a wait proposed again only once more waits."""
    await conn.execute(
        """
        INSERT INTO wait_aside (region, programme, currency, amount_minor, set_at, set_by)
        VALUES ($1, $2, $3, $4, clock_timestamp(), $5)
        ON CONFLICT (region, programme, currency) DO UPDATE
        SET amount_minor = EXCLUDED.amount_minor, set_at = EXCLUDED.set_at,
            set_by = EXCLUDED.set_by
        """,
        *key,
        amount_minor,
        by,
    )


async def raisable(
    conn: asyncpg.Connection, grant_id: GrantId, line: str, holder: str, currency: str, today: date
) -> tuple[AllotmentId, date | None] | None:
    """An allotment of a line that the holder has and that may be raised, with its last day."""
    row = await conn.fetchrow(
        """
        SELECT m.id, m.valid_until FROM grant_allotment m
        LEFT JOIN allotment a ON a.id = m.id
        LEFT JOIN allotment_elsewhere e ON e.allotment_id = m.id
        WHERE (m.grant_id, m.budget_line, m.holder, m.currency) = ($1, $2, $3, $4)
          AND m.recall_reason IS NULL AND (m.valid_until IS NULL OR m.valid_until >= $5)
          AND COALESCE(a.status, e.status, 'active') = 'active'
        ORDER BY m.valid_until DESC NULLS FIRST, m.id LIMIT 1
        """,
        grant_id,
        line,
        holder,
        currency,
        today,
    )
    return None if row is None else (AllotmentId(row["id"]), row["valid_until"])
