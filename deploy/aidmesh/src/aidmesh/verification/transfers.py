"""Money between regions on this machine: what both ends say of one transfer."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.ends import strayed
from aidmesh.verification.outcome import Outcome, outcome


class Transfer(NamedTuple):
    """Money between two regions, as one of them has it."""

    from_region: str
    to_region: str
    amount_minor: int
    currency: str
    state: str


async def transfers_match(
    probes: Sequence[RegionProbe], elsewhere: Mapping[str, Collection[str]]
) -> Outcome:
    """Money that left a region for another arrived there once, with the same amount.

    Args:
        elsewhere: by region, its peers that do not run here.
    """
    seen: dict[UUID, dict[str, Transfer]] = {}
    fenced = await _fenced(probes)
    for probe in probes:
        rows = await probe.connections["payments"].fetch(
            """
            SELECT from_region, to_region, amount_minor, currency, state, id FROM transfer
            WHERE kind = 'allotment' OR allotment_id <> ALL($1::uuid[])
            """,
            list(fenced),
        )
        for row in rows:
            seen.setdefault(row["id"], {})[probe.name] = Transfer(*tuple(row)[:5])
    here = {probe.name for probe in probes}
    return outcome(
        "mesh.transfers_match",
        "every transfer of money arrived once, with the amount that left",
        odd_transfers(seen, here, elsewhere),
    )


async def _fenced(probes: Sequence[RegionProbe]) -> set[UUID]:
    """Allotments of which a grantor took something back by itself, or a restored holder owes what
    it had given back: returns differ, sums agree."""
    return {
        row["allotment_id"]
        for probe in probes
        for row in await probe.connections["payments"].fetch(_FENCED)
    }


async def reissues_agree(probes: Sequence[RegionProbe]) -> Outcome:
    """What a grantor took back by itself of a holder was returned there since, or is owed.

    Only where both ends run here and the holder is back: a lost region's books are its own.
    """
    odd: list[str] = []
    for holder in probes:
        conn = holder.connections["payments"]
        heard = await conn.fetch(_HEARD)
        books = {
            row["id"]: (row["grantor"], row["returned_minor"])
            for row in await conn.fetch(_RETURNED)
        }
        for grantor in (each for each in probes if each is not holder):
            given = await grantor.connections["payments"].fetch(_REISSUED, holder.name)
            said = {(row["id"], row["epoch"], row["amount_minor"]) for row in given}
            counted = {row["id"]: row["returned_minor"] for row in given if row["is_back"]}
            odd += [
                f"allotment {key[0]}: {holder.name} heard of {key[2]} that {grantor.name} took not"
                for key in map(tuple, heard)
                if key[0] in books and books[key[0]][0] == grantor.name and key not in said
            ]
            odd += [
                f"allotment {key}: {grantor.name} counts {minor} as returned, "
                f"{holder.name} returned or owes {books[key][1]}"
                for key, minor in counted.items()
                if key in books and books[key][1] != minor
            ]
    return outcome(
        "mesh.reissues_agree",
        "what was taken back of a region that was held for lost was returned there, or is owed",
        odd,
    )


_FENCED = (
    "SELECT allotment_id FROM reissue UNION ALL SELECT allotment_id FROM taken_back WHERE epoch = 0"
)
_HEARD = "SELECT allotment_id, epoch, amount_minor FROM taken_back WHERE epoch > 0"
_REISSUED = """
    SELECT m.id, m.returned_minor, r.epoch, r.amount_minor,
           NOT EXISTS (SELECT FROM region_standing s
                       WHERE s.region = m.holder AND s.standing <> 'member') AS is_back
    FROM reissue r JOIN grant_allotment m ON m.id = r.allotment_id WHERE m.holder = $1
"""
_RETURNED = """
    SELECT a.id, a.grantor, a.returned_minor
           + COALESCE((SELECT sum(t.owed_minor - t.untold_minor) FROM taken_back t
                       WHERE t.allotment_id = a.id), 0)::bigint AS returned_minor
    FROM allotment a
"""


def odd_transfers(
    seen: Mapping[UUID, Mapping[str, Transfer]],
    here: Collection[str],
    elsewhere: Mapping[str, Collection[str]],
) -> list[str]:
    """What is wrong with transfers, each as the regions that know it have it."""
    odd: list[str] = []
    for transfer_id, by_region in seen.items():
        some = next(iter(by_region.values()))
        ends = {some.from_region, some.to_region}
        odd += strayed(f"transfer {transfer_id}", ends, by_region, here, elsewhere)
        if len({(each.amount_minor, each.currency) for each in by_region.values()}) > 1:
            odd.append(f"transfer {transfer_id} has two amounts")
        arrived = by_region.get(some.to_region)
        if arrived is not None and arrived.state != "received":
            odd.append(f"transfer {transfer_id} never arrived")
        sent = by_region.get(some.from_region)
        if arrived is not None and sent is not None and sent.state != "received":
            odd.append(f"transfer {transfer_id} arrived, and {some.from_region} was never told")
    return odd
