"""What waits in a region: events that were not sent, not taken, or are tried again; by id."""

from typing import Final

from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError
from nats.js.manager import JetStreamManager

from aidmesh.chaos.probes import OUTAGES, probing_one
from aidmesh.meshfile import MeshFile
from aidmesh.quiet import RegionProbe
from aidmesh_contracts.consumers import CONSUMERS

SHOWN_MAX: Final = 20
"""Ids of a region: the oldest tell what holds up the rest."""
OF_DURABLE_MAX: Final = 3
ANSWER_S_MAX: Final = 5.0
NOTHING_WAITS: Final = "nothing waited there when time was up"

_UNSENT: Final = """
    SELECT event_id::text FROM (
        SELECT event_id, created_at FROM outbox WHERE status = 'pending'
        UNION ALL
        SELECT event_id, created_at FROM handoff WHERE status = 'waiting'
        UNION ALL
        SELECT event_id, first_at FROM dead_letter WHERE status IN ('failing', 'parked')
    ) AS waits (event_id, since) ORDER BY since LIMIT $1
"""


async def waiting_in(probe: RegionProbe) -> tuple[str, ...]:
    """The oldest events that are unsent or untaken in a region."""
    found: list[str] = []
    for conn in probe.connections.values():
        found += [row[0] for row in await conn.fetch(_UNSENT, SHOWN_MAX)]
    manager = probe.client.jsm(timeout=ANSWER_S_MAX)
    durables = {consumer.durable for consumer in CONSUMERS}
    for stream in sorted({consumer.stream for consumer in CONSUMERS}):
        for info in await manager.consumers_info(stream.value):
            behind = (info.num_pending or 0) + (info.num_ack_pending or 0)
            if info.name in durables and behind:
                taken = info.ack_floor.stream_seq if info.ack_floor is not None else 0
                found += await _following(manager, stream.value, taken, info.config)
    return tuple(dict.fromkeys(found))[:SHOWN_MAX]


async def _following(
    manager: JetStreamManager, stream: str, taken: int, config: ConsumerConfig | None
) -> list[str]:
    """The first events of a stream that a consumer has not acknowledged all before."""
    subjects = [">"]
    if config is not None:
        subjects = config.filter_subjects or [config.filter_subject or ">"]
    found: list[tuple[int, str]] = []
    for subject in subjects:
        after = taken
        for _ in range(OF_DURABLE_MAX):
            try:
                message = await manager.get_msg(stream, after + 1, subject=subject, next=True)
            except NotFoundError:
                break
            after = message.seq or after + 1
            found.append((after, (message.headers or {}).get("ce-id", "")))
    return [event_id for _, event_id in sorted(found)[:OF_DURABLE_MAX] if event_id]


async def waiting_in_one(mesh: MeshFile, region: str) -> tuple[tuple[str, ...], str]:
    """What waits in a region; and why nothing is known, or that nothing waits."""
    try:
        async with probing_one(mesh, region) as probe:
            found = await waiting_in(probe)
    except OUTAGES as error:
        return (), f"{region} did not answer when time was up ({type(error).__name__})"
    return found, "" if found else NOTHING_WAITS
