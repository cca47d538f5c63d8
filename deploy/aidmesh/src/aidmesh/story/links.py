"""How the links are that a story waits for, in the words of `aidmesh status`."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from aidmesh.meshfile import MeshFile
from aidmesh.status import PeerStatus, peers_of, said_of, trouble_with

Links = Mapping[tuple[str, str], PeerStatus]
"""Peers, by the region that sees them so and by name."""

NO_LINKS: Final[Links] = MappingProxyType({})
SEE_LINK: Final = "aidmesh status shows the link"
"""What is said of a link where nobody who was asked knows how it is."""


async def links_of(mesh: MeshFile, region: str) -> Links:
    """Ask a region how its peers are."""
    peers = mesh.peers(region)
    found = await peers_of(mesh.regions[region], peers) if peers else ()
    gone = {
        name: PeerStatus(
            name, "unknown", standing="retired", standing_since=f"{each.since:%Y-%m-%d}"
        )
        for name, each in mesh.retired.items()
    }
    return {(region, each.peer): each for each in (*found, *gone.values())}


def _told(since: datetime) -> str:
    return since.isoformat(timespec="seconds")


async def all_links(mesh: MeshFile, regions: Collection[str]) -> Links:
    """Ask each of the regions how its peers are."""
    found = await asyncio.gather(*(links_of(mesh, region) for region in regions))
    return {place: peer for each in found for place, peer in each.items()}


def seen(links: Links, region: str, peer: str) -> str | None:
    """How a region sees a peer; None where nobody knows. Pure."""
    found = links.get((region, peer))
    told = None if found is None else said_of(found)
    return None if told is None else f"{region}: {told}"


def words_of(links: Links, region: str) -> dict[str, str]:
    """By peer how a region sees it, of those of which somebody knows it. Pure."""
    peers = [peer for one, peer in links if one == region]
    return {peer: told for peer in peers if (told := seen(links, region, peer)) is not None}


def seen_ill(links: Links, region: str, peer: str) -> str | None:
    """What is wrong with a peer as a region sees it; None where nothing is known to be. Pure."""
    found = links.get((region, peer))
    trouble = None if found is None else trouble_with(found)
    return None if trouble is None else f"{region}: {trouble}"


def troubles(links: Links, waits: Collection[tuple[str, str]], told: Collection[str]) -> list[str]:
    """What is wrong with links that are waited for, and is not told yet. Pure.

    Args:
        links: how they are.
        waits: which region waits for which.
        told: what is said already.
    """
    found = [
        trouble
        for place in dict.fromkeys(waits)
        if (trouble := seen_ill(links, *place)) is not None
    ]
    return [line for line in found if not any(line in each for each in told)]
