"""How goods and money stand that go from one region to another: what waits, and for whom."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, cast

from aidmesh.story.links import SEE_LINK
from aidmesh.story.standing import Standing
from aidmesh.story.told import Json

GOODS: Final = """
    SELECT 'shipment' AS what, id, state, from_region, to_region, changed_at AS since
    FROM shipment
    WHERE (id = $1 OR transfer_id = $1) AND state IN ('preparing', 'dispatched', 'receiving')
    UNION ALL
    SELECT 'ask for goods', id, state, from_region, to_region, asked_at
    FROM transfer WHERE id = $1 AND state = 'asked'
    ORDER BY since, id LIMIT 50
"""
MONEY: Final = """
    SELECT 'money' AS what, id, state, from_region, to_region, recorded_at AS since
    FROM transfer
    WHERE state = 'in_transit'
      AND (id = $1 OR allotment_id = $1
           OR allotment_id IN (SELECT id FROM grant_allotment WHERE grant_id = $1))
    ORDER BY since, id LIMIT 50
"""
"""Each end has a row of its own; that of who gets money is there once the money is."""

COUNTED: Final = "who gets it counts it there (desk: Between regions); {link}"
BY_SENDER: Final[Mapping[tuple[str, str], tuple[str, str, bool]]] = {
    ("shipment", "preparing"): (
        "waits to be sent off",
        "a logistician sends it off (desk: Between regions)",
        False,
    ),
    ("shipment", "dispatched"): ("waits until {peer} has counted it", COUNTED, True),
    ("shipment", "receiving"): ("waits until {peer} has counted all of it", COUNTED, True),
    ("ask for goods", "asked"): (
        "waits for an answer",
        "a logistician answers it (desk: Between regions)",
        False,
    ),
    ("money", "in_transit"): (
        "waits until {peer} has it",
        "it is credited there by itself; {link}",
        True,
    ),
}
"""By what it is and how it stands at who gives: what it waits for, who does what about it, and
whether that is for the other region to do."""

BY_RECEIVER: Final[Mapping[tuple[str, str], tuple[str, str, bool]]] = {
    ("shipment", "preparing"): ("waits until {peer} sends it off", "{link}", True),
    ("shipment", "dispatched"): (
        "waits to be counted",
        "a logistician counts it when it comes (desk: Between regions)",
        False,
    ),
    ("shipment", "receiving"): (
        "waits for the rest to be counted",
        "a logistician counts the rest (desk: Between regions)",
        False,
    ),
    ("ask for goods", "asked"): (
        "waits for the answer of {peer}",
        "a logistician there answers it (desk: Between regions); {link}",
        True,
    ),
}
"""The same at who gets it."""


def between(region: str, rows: Sequence[Json], links: Mapping[str, str]) -> list[Standing]:
    """Say how they stand in the books of one of both regions. Pure.

    Args:
        region: whose books.
        rows: what, id, state, from_region, to_region, since.
        links: by peer how the region sees it.
    """
    return [each for row in rows if (each := _standing(region, row, links)) is not None]


def _standing(region: str, row: Json, links: Mapping[str, str]) -> Standing | None:
    gives = row["from_region"] == region
    peer = str(row["to_region"] if gives else row["from_region"])
    found = (BY_SENDER if gives else BY_RECEIVER).get((str(row["what"]), str(row["state"])))
    if found is None:
        return None
    waits, do, is_theirs = found
    way = f"{'to' if gives else 'from'} {peer}"
    since = f"{cast('datetime', row['since']):%Y-%m-%d %H:%M}"
    return Standing(
        f"{region}: {row['what']} {row['id']} {way} is {row['state']} since {since}: "
        f"{waits.format(peer=peer)}",
        (do.format(link=links.get(peer, SEE_LINK)),),
        (peer,) if is_theirs else (),
    )
