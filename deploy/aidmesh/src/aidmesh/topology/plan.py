"""The streams and durables a region needs, and how found ones differ from that. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from aidmesh.topology.api import Json
from aidmesh_contracts.consumers import (
    ACK_POLICY,
    ACK_WAIT_S,
    ACKS_PENDING_MAX,
    CONSUMERS,
    DELIVERIES_MAX,
    Consumer,
)
from aidmesh_contracts.streams import PREFIXES, Stream

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
DUPLICATE_WINDOW_NS = 120 * SECOND_NS
AGE_NS_MAX: Mapping[Stream, int] = {Stream.PRIVATE: 7 * DAY_NS, Stream.HANDOFF: 7 * DAY_NS}

# Everything else (storage, retention, subjects, ages) could lose messages: a person decides.
STREAM_UPDATABLE = frozenset(
    {"sources", "duplicate_window", "allow_atomic", "allow_direct", "num_replicas"}
)
CONSUMER_UPDATABLE = frozenset({"ack_wait", "max_deliver", "max_ack_pending", "inactive_threshold"})
CONSUMER_RECREATABLE = frozenset({"filter_subjects", "deliver_policy", "pause_until"})


class Remedy(StrEnum):
    """What `apply` does about a difference."""

    CREATE = "create"
    UPDATE = "update"
    RECREATE = "recreate"  # durables only: everything comes again, the inbox knows it
    REFUSE = "refuse"  # a person decides
    LEAVE = "leave"  # not ours; shown, never touched


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as planned. `durable` is None where the stream itself is meant."""

    stream: str
    durable: str | None
    field: str
    found: object
    wanted: object
    remedy: Remedy

    def __str__(self) -> str:
        """One line for a person."""
        name = self.stream if self.durable is None else f"{self.stream}/{self.durable}"
        if self.remedy is Remedy.LEAVE:
            return f"{name}: not in the plan, left alone"
        if self.remedy is Remedy.CREATE:
            return f"{name}: missing ({self.remedy})"
        return f"{name}: {self.field} is {self.found!r}, wanted {self.wanted!r} ({self.remedy})"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a region's server should hold."""

    region: str
    streams: Mapping[str, Json]
    consumers: Mapping[tuple[str, str], Json]


def plan_of(
    region: str,
    peers: Iterable[str],
    consumers: Sequence[Consumer] = CONSUMERS,
    *,
    replicas: int = 1,
) -> Plan:
    """The plan of a region that exchanges events with `peers`.

    Args:
        replicas: servers that keep each message: 3 for a cluster of three. Durables are kept by
            as many as their stream.
    """
    own = [stream for stream in Stream if stream != Stream.WORLD]
    streams = {stream.value: _own(stream, region) for stream in own}
    streams[Stream.WORLD.value] = _world(region, peers)
    return Plan(
        region=region,
        streams={name: {**config, "num_replicas": replicas} for name, config in streams.items()},
        consumers={
            (consumer.stream.value, consumer.durable): _durable(consumer, region)
            for consumer in consumers
        },
    )


def source_of(region: str, peer: str) -> Json:
    """WORLD's source for one peer: ephemeral, through the peer's JetStream domain."""
    return {
        "name": Stream.EVENTS.value,
        "filter_subject": f"aid.{peer}.>",
        "external": {"api": f"$JS.{peer}.API", "deliver": f"sync.{region}.{peer}"},
    }


def peer_of(source: Json) -> str:
    """Which peer a source of WORLD reads from."""
    external = cast("Json", source.get("external") or {})
    return str(external.get("api", "..")).split(".")[1]


def stream_differences(name: str, found: Json | None, wanted: Json) -> list[Difference]:
    """How a stream's configuration differs; only what the plan speaks of is compared."""
    if found is None:
        return [Difference(name, None, "", None, None, Remedy.CREATE)]
    return [
        Difference(
            name,
            None,
            field,
            found.get(field),
            value,
            Remedy.UPDATE if field in STREAM_UPDATABLE else Remedy.REFUSE,
        )
        for field, value in wanted.items()
        if not _same(field, found.get(field), value)
    ]


def consumer_differences(
    stream: str, durable: str, found: Json | None, wanted: Json
) -> list[Difference]:
    """How a durable's configuration differs; only what the plan speaks of is compared."""
    if found is None:
        return [Difference(stream, durable, "", None, None, Remedy.CREATE)]
    return [
        Difference(stream, durable, field, found.get(field), value, _consumer_remedy(field))
        for field, value in wanted.items()
        if not _same(
            field, _filters(found) if field == "filter_subjects" else found.get(field), value
        )
    ]


def _consumer_remedy(field: str) -> Remedy:
    if field in CONSUMER_UPDATABLE:
        return Remedy.UPDATE
    # A widened filter applies from the durable's position on: what had passed unseen would
    # never come. From the start again it does, and the inbox skips what is known.
    return Remedy.RECREATE if field in CONSUMER_RECREATABLE else Remedy.REFUSE


def _own(stream: Stream, region: str) -> Json:
    prefix = PREFIXES.get(stream, "handoff")
    return {**_base(stream), "subjects": [f"{prefix}.{region}.>"], "allow_atomic": True}


def _world(region: str, peers: Iterable[str]) -> Json:
    # The subject is never used. Without one the server would invent it for a region alone, and
    # the first peer could not be added in place.
    return {
        **_base(Stream.WORLD),
        "subjects": [f"world.{region}"],
        "sources": [source_of(region, peer) for peer in sorted(peers)],
    }


def _base(stream: Stream) -> Json:
    return {
        "name": stream.value,
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": AGE_NS_MAX.get(stream, 0),
        "max_msgs": -1,
        "max_bytes": -1,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "allow_direct": True,
    }


def _durable(consumer: Consumer, region: str) -> Json:
    return {
        "durable_name": consumer.durable,
        "ack_policy": ACK_POLICY,
        "ack_wait": ACK_WAIT_S * SECOND_NS,
        "max_deliver": DELIVERIES_MAX,
        "max_ack_pending": ACKS_PENDING_MAX,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "filter_subjects": sorted(consumer.filter_subjects(region)),
        "inactive_threshold": 0,  # it stays, however long its service is away
        "pause_until": None,
    }


def _filters(found: Json) -> list[str]:
    """The server writes a single filter under another name."""
    single = found.get("filter_subject")
    return [str(single)] if single else cast("list[str]", found.get("filter_subjects") or [])


def _same(field: str, found: object, wanted: object) -> bool:
    if field == "sources":
        return _sources(found) == _sources(wanted)
    if field == "filter_subjects":
        return sorted(cast("list[str]", found)) == sorted(cast("list[str]", wanted))
    if found is None:  # the server leaves out what is false, zero or empty
        return not wanted
    return found == wanted


def _sources(value: object) -> list[tuple[str, object, object]]:
    sources = cast("list[Json]", value or [])
    return sorted(
        (peer_of(source), source.get("filter_subject"), source.get("external"))
        for source in sources
    )
