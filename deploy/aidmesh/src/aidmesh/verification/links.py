"""People who are linked between two regions: both say the same of each link."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

_LINKS = "SELECT id, region, mine, theirs, person_id IS NOT NULL AS has_person FROM person_link"


class Linked(NamedTuple):
    """A link as one of its sides has it."""

    other: str
    mine: str
    theirs: str
    has_person: bool


async def links_agree(
    probes: Sequence[RegionProbe], elsewhere: Mapping[str, Collection[str]]
) -> Outcome:
    """At rest both sides of a link agree about what each says, and forget together.

    Args:
        elsewhere: by region, its peers that do not run here.
    """
    links: dict[str, dict[UUID, Linked]] = {}
    uncounted: list[str] = []
    for probe in probes:
        rows = await probe.connections["intake"].fetch(_LINKS)
        links[probe.name] = {row["id"]: Linked(*tuple(row)[1:]) for row in rows}
        in_force = {
            link_id
            for link_id, each in links[probe.name].items()
            if (each.mine, each.theirs) == ("yes", "yes")
        }
        counted = {
            row["link_id"]
            for row in await probe.connections["reporting"].fetch(
                "SELECT link_id FROM person_link WHERE person_id IS NOT NULL"
            )
        }
        uncounted += [
            f"link {each} of {probe.name} is {'not ' if each in in_force else ''}counted once"
            for each in sorted(in_force ^ counted)
        ]
    return outcome(
        "mesh.links_agree",
        "what two regions say of a person known in both agrees, and reporting counts by it",
        [*odd_links(links, elsewhere), *uncounted],
    )


def odd_links(
    links: Mapping[str, Mapping[UUID, Linked]], elsewhere: Mapping[str, Collection[str]]
) -> list[str]:
    """What is wrong with links whose both ends run here, once it is quiet."""
    odd: list[str] = []
    for region, by_id in links.items():
        for link_id, ours in by_id.items():
            if ours.other not in links:
                if ours.other not in elsewhere[region]:
                    odd.append(f"link {link_id} of {region} is with {ours.other}, unknown to all")
                continue
            theirs = links[ours.other].get(link_id)
            if theirs is None or theirs.other != region:
                odd.append(f"link {link_id} of {region} is not known in {ours.other}")
            elif (ours.mine, ours.theirs) != (theirs.theirs, theirs.mine):
                odd.append(f"link {link_id}: {region} and {ours.other} say different things")
            elif ours.has_person != theirs.has_person:
                odd.append(f"link {link_id} has a person in one of {region} and {ours.other} only")
    return odd
