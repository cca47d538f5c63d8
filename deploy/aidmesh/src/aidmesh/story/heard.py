"""What peers said of an id whose databases can't be read here: another folder's, another machine's.

A region's WORLD holds a copy of what each of them told all; what they say of single people is not
in it.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from aidmesh.asking import AWAY
from aidmesh.connecting import connect
from aidmesh.meshfile import MeshFile, RegionEntry
from aidmesh.story.databases import Place
from aidmesh.story.told import Json, Said
from aidmesh.topology.api import JetStreamApi, section
from aidmesh.topology.rights import READER
from aidmesh.verification.wire import Frame, wired
from aidmesh_chassis.letters import headers_of
from aidmesh_contracts.streams import PREFIXES, Stream, event_type_of, origin_of

MESSAGES_MAX: Final = 500_000
"""How far back WORLD is looked through."""

SECONDS_MAX: Final = 30.0
STEPS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Heard:
    """What lies in WORLD; `gaps` says what of it was not looked at, and why."""

    said: tuple[Said, ...] = ()
    gaps: tuple[str, ...] = ()


async def heard(
    mesh: MeshFile, read: Collection[str], silent: Collection[Place], wanted: UUID
) -> Heard:
    """Look through WORLD of the regions of a folder, for what others than these said.

    Args:
        mesh: the folder's.
        read: the regions whose databases were read,
        silent: but for these.
        wanted: the id.
    """
    found = await asyncio.gather(
        *(
            _heard(region, mesh.regions[region], others, wanted)
            for region in read
            if (others := _others(mesh, region, read, silent))
        )
    )
    said: dict[UUID, Said] = {}
    for each in found:
        for one in each.said:
            known = said.get(one.event_id)
            by = (*(known.heard_by if known else ()), *one.heard_by)
            said[one.event_id] = replace(one, heard_by=by)
    return Heard(tuple(said.values()), tuple(gap for each in found for gap in each.gaps))


def _others(
    mesh: MeshFile, region: str, read: Collection[str], silent: Collection[Place]
) -> list[tuple[str, ...]]:
    """Whom a region heard that nobody read: peers, or single services of them."""
    peers = {*mesh.peers(region), *mesh.retired}
    whole = [(peer,) for peer in peers - set(read)]
    parts = [place for place in silent if place[0] in peers and place[0] in read]
    return sorted([*whole, *parts])


async def _heard(
    region: str, entry: RegionEntry, others: Sequence[tuple[str, ...]], wanted: UUID
) -> Heard:
    said: list[Said] = []
    names = ", ".join(" ".join(each) for each in others)
    gaps: list[str] = []
    try:
        async with asyncio.timeout(SECONDS_MAX):
            if not await _read(region, entry, others, wanted, said):
                gaps.append(
                    f"of what {region} heard of {names} only the last {MESSAGES_MAX} events were "
                    f"looked through, and {STEPS_MAX} of this story are shown at most"
                )
    except AWAY as error:
        gaps.append(
            f"what {region} heard of {names} could not all be looked through "
            f"({type(error).__name__})"
        )
    return Heard(tuple(said), tuple(gaps))


async def _read(
    region: str,
    entry: RegionEntry,
    others: Sequence[tuple[str, ...]],
    wanted: UUID,
    said: list[Said],
) -> bool:
    """Whether all was looked through."""
    client = await connect(entry, READER)
    try:
        state = section(await JetStreamApi(client).stream_info(Stream.WORLD) or {}, "state")
        last, first = int(str(state.get("last_seq", 0))), int(str(state.get("first_seq", 0)))
        after = max(last - MESSAGES_MAX, 0)
        subjects = [f"{PREFIXES[Stream.EVENTS]}.{'.'.join(each)}.>" for each in others]
        needle = str(wanted).encode()
        async with wired(entry) as wire:
            async for frames in wire.read(
                client, Stream.WORLD, after, headers_only=False, subjects=subjects
            ):
                for frame in frames:
                    if needle in frame.head or needle in frame.body:
                        one = _said(frame, region, str(wanted))
                        said += [] if one is None else [one]
                if len(said) > STEPS_MAX:
                    del said[STEPS_MAX:]
                    return False
        return after < max(first, 1)
    finally:
        await client.close()


def _said(frame: Frame, region: str, wanted: str) -> Said | None:
    """An event that speaks of the id, or came of the same cause; None for what only names it as
    what it was caused by, or is no event."""
    headers = headers_of(frame.head)
    names = (headers.get(name) for name in ("ce-id", "ce-subject", "aid-correlation"))
    if wanted not in names and wanted.encode() not in frame.body:
        return None
    try:
        return Said(
            at=datetime.fromisoformat(headers["ce-time"]),
            region=origin_of(frame.subject),
            service=event_type_of(frame.subject).partition(".")[0],
            event_id=UUID(headers["ce-id"]),
            type=event_type_of(frame.subject),
            stream=Stream.EVENTS,
            state="acked",
            about=headers.get("ce-subject", ""),
            payload=cast("Json", json.loads(frame.body)),
            heard_by=(region,),
        )
    except (KeyError, ValueError):
        return None
