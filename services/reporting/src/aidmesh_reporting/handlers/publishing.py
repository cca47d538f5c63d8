"""Monthly results for the other regions, restated when their numbers change."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.reporting import MonthlyResultsV1, ResultLine
from aidmesh_reporting.domain.disclosure import LINES_MAX, TOLD_MIN, fold_small, told_elsewhere
from aidmesh_reporting.domain.months import first_day, last_day, months_so_far, to_restate
from aidmesh_reporting.domain.results import Dimension, PublishedLine
from aidmesh_reporting.store import kept, links, results
from aidmesh_reporting.store import months as month_store

MONTHS_MAX = 24
RESTLESS_S_MAX = 60.0
"""Numbers that go on changing are published that often, although they are at no rest."""


async def publish(tx: Tx, rest_s: float = 0.0) -> int:
    """Publish the months whose numbers changed, each with its next version. A sweep.

    Putting a month together reads all of its services, so it is done once they have come to rest.

    Args:
        rest_s: seconds for which a month has not changed before it is published.

    Returns:
        how many months were looked at.
    """
    await kept.alone(tx.conn)
    dirty = await month_store.take_dirty(tx.conn, MONTHS_MAX, rest_s, RESTLESS_S_MAX)
    if not dirty:
        return 0
    published = await month_store.published(tx.conn)
    for month in to_restate(dirty, published):
        version, known_hash = published.get(month, (0, b""))
        event = await results_of_month(tx.conn, month, version + 1, tx.now, tx.region)
        hashed = content_hash(event)
        nothing_yet = version == 0 and not event.lines and not event.settled
        if hashed == known_hash or nothing_yet:
            continue
        await month_store.put_published(tx.conn, month, event.version, hashed)
        tx.emit(event, version=event.version)
    return len(dirty)


async def results_of_month(
    conn: asyncpg.Connection, month: str, version: int, as_of: datetime, region: str
) -> MonthlyResultsV1:
    """Return a month's results as this region publishes them."""
    first, last = first_day(month), last_day(month)
    lines = (await _lines(conn, first, last)).get(month, [])
    people = await results.people(conn, first, last)
    year_people = await results.people(conn, first.replace(month=1), last)
    year_elsewhere, by_month = await links.elsewhere(conn, months_so_far(month), region)
    elsewhere = by_month.get(month, 0)
    return MonthlyResultsV1(
        month=month,
        people=people,
        services=sum(line.services for line in lines),
        contacts=sum(line.contacts for line in lines),
        year_people=year_people,
        lines=tuple(
            ResultLine(
                area=line.area,
                kind=line.kind,
                grant_id=None if line.grant is None else GrantId(line.grant),
                people=line.people,
                services=line.services,
                contacts=line.contacts,
                quantity=line.quantity,
                unit=line.unit,
                sensitive=line.sensitive,
            )
            for line in fold_small(lines, TOLD_MIN, LINES_MAX)
        ),
        version=version,
        as_of=as_of,
        settled=month in await month_store.settled(conn, [month]),
        elsewhere=told_elsewhere(people, elsewhere, TOLD_MIN),
        year_elsewhere=told_elsewhere(year_people, year_elsewhere, TOLD_MIN),
    )


async def told_months(
    conn: asyncpg.Connection, months: Sequence[str]
) -> list[tuple[str, list[PublishedLine]]]:
    """Return the lines of some months in a row as the other regions are told them."""
    if not months:
        return []
    found = await _lines(conn, first_day(months[0]), last_day(months[-1]))
    return [(month, fold_small(lines, TOLD_MIN, LINES_MAX)) for month, lines in found.items()]


async def _lines(
    conn: asyncpg.Connection, first: date, last: date
) -> dict[str, list[PublishedLine]]:
    by: tuple[Dimension, ...] = ("kind", "area", "month", "grant", "unit")
    months: dict[str, list[PublishedLine]] = {}
    for sensitive in (False, True):
        lines = await results.lines(conn, first, last, by, sensitive=sensitive)
        for cell, line in sorted(lines.items(), key=lambda item: str(item[0])):
            if not line.services:
                continue  # money of a second grant; its service stands elsewhere
            months.setdefault(cell.month or "", []).append(
                PublishedLine(
                    area=cell.area or "",
                    kind=cell.kind or "",
                    grant=cell.grant,
                    people=line.people,
                    services=line.services,
                    contacts=line.contacts,
                    quantity=line.quantities.get(cell.unit or "", 0),
                    unit=cell.unit or "",
                    sensitive=sensitive,
                )
            )
    return months


def content_hash(event: MonthlyResultsV1) -> bytes:
    """Tells whether there is anything new to say of a month, whatever its version and moment."""
    # What there was nothing to say about before is left out: the hash stays what it was.
    new = {name for name in ("elsewhere", "year_elsewhere") if not getattr(event, name)}
    text = event.model_dump_json(exclude={"version", "as_of", *new})
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
