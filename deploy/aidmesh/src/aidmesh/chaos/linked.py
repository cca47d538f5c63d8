"""People who are known in two regions: both say the same of them, and they count once. Pure."""

from collections.abc import Iterator
from typing import Final

from aidmesh.chaos.compare import Known
from aidmesh.chaos.snapshot import Link
from aidmesh.chaos.violation import Violation

PROMISE: Final = "people in two regions are linked in both, as both say"
COUNTED: Final = "people in two regions count once"
TOLD_MIN: Final = 5
"""A region that helped fewer tells third ones nothing of who is known elsewhere."""


def links_are_as_decided(known: Known) -> Iterator[Violation]:
    """Whoever was looked for is linked in both regions, and nobody else is."""
    looked_for = {
        (op.region, op.facts["person"], op.facts["other"], op.facts["theirs"])
        for op in known.book.accepted("look_for")
    }
    found = set()
    for seen in known.world.values():
        for link_id, link in seen.links.items():
            other = known.world[link.region].links.get(link_id)
            if other is None or other.region != seen.region:
                what = f"link {link_id} is not known in {link.region}"
                yield Violation(PROMISE, seen.region, what, (link_id,))
                continue
            if (link.mine, link.theirs) != (other.theirs, other.mine):
                what = f"link {link_id} is {link.mine}/{link.theirs}, not so in {link.region}"
                yield Violation(PROMISE, seen.region, what, (link_id,))
            said = _said(known, seen.region, link_id)
            if link.mine != said:
                what = f"link {link_id}: said was {said}, it is {link.mine}"
                yield Violation(PROMISE, seen.region, what, (link_id,))
            pair = (seen.region, str(link.person_id), link.region, str(other.person_id))
            found.add(pair)
            if pair not in looked_for and (*pair[2:], *pair[:2]) not in looked_for:
                what = f"nobody looked for whom link {link_id} is about"
                yield Violation(PROMISE, seen.region, what, (link_id,))
    for pair in looked_for - found:
        what = f"person {pair[1]} is not linked with whom they are in {pair[2]}"
        yield Violation(PROMISE, pair[0], what, (pair[1],))


def _said(known: Known, region: str, link_id: str) -> str:
    what = {
        op.what
        for op in known.book.accepted("confirm_link", "refuse_link")
        if op.region == region and op.facts["link"] == link_id
    }
    if "refuse_link" in what:
        return "no"
    return "yes" if what else "open"


def people_count_once(known: Known) -> Iterator[Violation]:
    """The whole is the sum of all regions less those who are linked, wherever it is looked at."""
    served: dict[str, set[str]] = {region: set() for region in known.world}
    for need_id, history in known.histories.items():
        need = known.world[history.region].needs.get(need_id)
        if history.is_served and need is not None:
            served[history.region].add(str(need.person_id))
    if any(len(persons) < TOLD_MIN for persons in served.values()):
        return
    twice = {
        link_id
        for seen in known.world.values()
        for link_id, link in seen.links.items()
        if _is_linked(link)
        and str(link.person_id) in served[seen.region]
        and _theirs(known, link_id, link) in served[link.region]
    }
    wanted = sum(map(len, served.values())) - len(twice)
    for region, shown in known.people.items():
        if shown != wanted:
            what = f"{shown} people were helped, the book says {wanted} ({len(twice)} in two)"
            yield Violation(COUNTED, region, what, _counted(known, region, twice))


def _counted(known: Known, region: str, twice: set[str]) -> tuple[str, ...]:
    """Links that make a difference, and the last needs that count in a region."""
    served = [
        need_id
        for need_id, history in known.histories.items()
        if history.is_served and history.region == region
    ]
    return (*sorted(twice), *reversed(served))


def _is_linked(link: Link) -> bool:
    return (link.mine, link.theirs) == ("yes", "yes")


def _theirs(known: Known, link_id: str, link: Link) -> str:
    other = known.world[link.region].links.get(link_id)
    return "" if other is None else str(other.person_id)
