"""Finds out that a durable was changed, or put to another place, or that WORLD lacks a source.

No list of rights keeps a peer from having the server do the latter: it delivers an event of the
peer's own to the durable as if it were a request (decision 0094). Such a durable is made anew. It
gets everything again, and the inbox knows what it has.

A source is taken out of WORLD for a moment to have it asked anew (see aidmesh.topology.watcher). If
the server stands still in between, it stays out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.topology.plan import Plan, consumer_differences, stream_differences
from aidmesh_contracts.streams import Stream

Key = tuple[str, str]
"""Stream and durable."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a durable is.

    Attributes:
        created: when; another time, another durable.
        leader: which server of a cluster keeps count; another one may have heard of less.
        delivered: messages, those that came again included.
    """

    created: object
    leader: object
    delivered: int


def place_of(info: Json) -> Place:
    """How far a durable is, by what the server says of it."""
    delivered = cast("Json", info.get("delivered") or {})
    cluster = cast("Json", info.get("cluster") or {})
    return Place(
        info.get("created"), cluster.get("leader"), int(str(delivered.get("consumer_seq", 0)))
    )


def was_reset(before: Place, now: Place) -> bool:
    """Whether somebody has put a durable to another place: only then it counts from the start."""
    same = (before.created, before.leader) == (now.created, now.leader)
    return same and now.delivered < before.delivered


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found.

    Attributes:
        places: how far each durable is.
        changes: what is not as planned of them.
        moved: which were put elsewhere.
        sources: what is not as planned of WORLD's.
    """

    places: Mapping[Key, Place]
    changes: list[str]
    moved: list[Key]
    sources: list[str]


async def look(api: JetStreamApi, plan: Plan, before: Mapping[Key, Place]) -> Found:
    """Compare durables with the plan and with how far they were, WORLD's sources with the plan.

    Changes nothing. Nobody else may be changing WORLD meanwhile.
    """
    infos = {
        (stream, str(info.get("name"))): info
        for stream in plan.streams
        for info in await api.consumers(stream)
    }
    for key in plan.consumers.keys() - infos.keys():  # of a cluster some may not have answered
        info = await api.consumer_info(*key)
        if info is not None:
            infos[key] = info
    places = {key: place_of(infos[key]) for key in plan.consumers if key in infos}
    moved = [key for key, now in places.items() if key in before and was_reset(before[key], now)]
    changes = [
        str(difference)
        for key, wanted in plan.consumers.items()
        for difference in consumer_differences(
            *key, section(infos[key], "config") if key in infos else None, wanted
        )
    ]
    world = await api.stream_info(Stream.WORLD.value) or {}
    sources = [
        str(difference)
        for difference in stream_differences(
            Stream.WORLD.value, section(world, "config"), plan.streams[Stream.WORLD.value]
        )
        if difference.field == "sources"
    ]
    changes += [f"{'/'.join(key)}: put elsewhere" for key in moved]
    return Found(places, changes, moved, sources)


async def remove(api: JetStreamApi, durables: Iterable[Key]) -> None:
    """Delete them, so that they are made anew."""
    for stream, durable in durables:
        await api.delete_consumer(stream, durable)
