"""Proposals to move money on this machine: what grantor and holder say of one."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.ends import strayed
from aidmesh.verification.outcome import Outcome, outcome

_ALIKE = {
    "asked": {"proposed"},
    "prepared": {"proposed"},
    "returned": {"returned", "moved", "kept", "withdrawn"},
    "declined": {"declined", "withdrawn"},
    "lapsed": {"lapsed", "withdrawn"},
    "withdrawn": {"withdrawn"},
}
"""What the grantor may say of a proposal by what its holder did; a withdrawal may come too late."""


class Proposal(NamedTuple):
    """A proposal, as one of its ends has it; `returned_minor` is None if nothing came back."""

    grantor: str
    holder: str
    state: str
    returned_minor: int | None


async def rebalancings_match(
    probes: Sequence[RegionProbe], elsewhere: Mapping[str, Collection[str]]
) -> Outcome:
    """Grantor and holder of a proposal agree how it ended and what came back.

    Args:
        elsewhere: by region, its peers that do not run here.
    """
    of_grantors: dict[UUID, Proposal] = {}
    of_holders: dict[UUID, Proposal] = {}
    for probe in probes:
        connection = probe.connections["payments"]
        for row in await connection.fetch(
            "SELECT id, holder, state, returned_minor FROM rebalancing"
        ):
            of_grantors[row["id"]] = Proposal(probe.name, *tuple(row)[1:])
        for row in await connection.fetch(
            "SELECT id, grantor, holder, state,"
            " CASE WHEN state = 'returned' THEN prepared_minor END"
            " FROM return_ask WHERE state IS NOT NULL"
        ):
            of_holders[row["id"]] = Proposal(*tuple(row)[1:])
    return outcome(
        "mesh.rebalancings_match",
        "grantor and holder of a proposal agree how it ended and what came back",
        odd_rebalancings(of_grantors, of_holders, {probe.name for probe in probes}, elsewhere),
    )


def odd_rebalancings(
    of_grantors: Mapping[UUID, Proposal],
    of_holders: Mapping[UUID, Proposal],
    here: Collection[str],
    elsewhere: Mapping[str, Collection[str]],
) -> list[str]:
    """What is wrong with proposals, each as the two ends have it."""
    odd: list[str] = []
    for key in of_grantors.keys() | of_holders.keys():
        made, asked = of_grantors.get(key), of_holders.get(key)
        some = made or asked
        if some is None:
            continue
        known = {end for end, known in ((some.grantor, made), (some.holder, asked)) if known}
        if lost := strayed(
            f"rebalancing {key}", {some.grantor, some.holder}, known, here, elsewhere
        ):
            odd += lost
        elif made is not None and asked is not None:
            if made.state not in _ALIKE[asked.state]:
                odd.append(f"rebalancing {key} is {made.state}, at its holder {asked.state}")
            if made.returned_minor != asked.returned_minor:
                odd.append(f"rebalancing {key} brought back two amounts")
    return odd
