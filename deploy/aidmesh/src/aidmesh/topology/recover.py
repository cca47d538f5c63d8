"""Finds out that a stream lost acknowledged messages, and brings them back.

A log that was wiped or put back to an earlier state would give old sequence numbers to new
events, and peers, who remember the last number they read, would never fetch those. So before a
region's relays may publish, the stream's creation time and last sequence are compared with the
highest acknowledged ones in all outboxes, and the messages there with the events that were
acknowledged: a log that was put back may have grown again since. If the log is shorter, or another
one, it is made anew:

1. the stream is deleted and created again, its numbers starting far above every number ever
   used, so that whatever position a peer remembers, all of the new log lies behind it;
2. it carries a mark until the end, so that a crash on the way is noticed and all is done again;
3. the durables are created, and the outboxes' history is published under its old ids, in its
   old order; inboxes skip what they know.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from nats.aio.client import Client

from aidmesh.topology.api import ApiError, JetStreamApi, Json, section
from aidmesh.topology.history import Mark, Outboxes, Published, open_outboxes
from aidmesh.topology.plan import AGE_NS_MAX, SECOND_NS, Plan
from aidmesh.topology.provision import apply
from aidmesh_chassis import ending
from aidmesh_chassis.logs import get_logger
from aidmesh_contracts.streams import PREFIXES, Stream

log = get_logger()

BATCH_MAX = 256
PUBLISH_SECONDS_MAX = 30.0
SEQUENCE_GAP = 1_000_000
"""More than can have been acknowledged without any outbox having written it down."""

AGE_MARGIN_S = 3600.0
"""An event is in the stream a moment before its outbox knows, and clocks differ."""

RECOVERING = "aidmesh-recovering"
OWN_STREAMS = tuple(PREFIXES)


@dataclass(frozen=True, slots=True)
class Log:
    """What the server says of a stream; `recovering` is the mark of an unfinished recovery."""

    created: datetime
    last_seq: int
    recovering: bool


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done for one stream."""

    stream: str
    reason: str
    messages: int


def lost(found: Log | None, marks: Sequence[Mark], ids: Mapping[int, str | None]) -> str | None:
    """Why the log must be made anew, None when nothing acknowledged is missing. Pure.

    `ids` says which message the log holds at each mark's sequence, None for none.
    """
    if found is not None and found.recovering:
        return "an earlier recovery did not finish"
    if not marks:
        return None
    if found is None:
        return "the stream is missing"
    newest = max(marks)
    if newest.stream_created != found.created:
        return "the stream is another one than that which acknowledged"
    if newest.ack_seq > found.last_seq:
        return f"it ends at {found.last_seq}, acknowledged was {newest.ack_seq}"
    for mark in marks:
        if mark.stream_created == found.created and ids.get(mark.ack_seq) != str(mark.event_id):
            return f"at {mark.ack_seq} it does not hold what was acknowledged there"
    return None


async def check(api: JetStreamApi, dsns: Sequence[str]) -> dict[str, str]:
    """Which of the region's own streams lost something, and why. Changes nothing."""
    async with open_outboxes(dsns) as outboxes:
        return await _check(api, outboxes)


async def recover(client: Client, plan: Plan, dsns: Sequence[str]) -> list[Recovered]:
    """Make anew what lost something; the relays of the region must be waiting at the gate.

    May be called again after a crash at any moment. Raises as the server and databases do.
    """
    api = JetStreamApi(client)
    done = []
    async with open_outboxes(dsns) as outboxes:
        for stream, reason in (await _check(api, outboxes)).items():
            log.warning("stream.recovery_started", stream=stream, reason=reason)
            count = await _recreate(api, plan, outboxes, stream)
            log.warning("stream.recovery_finished", stream=stream, messages=count)
            done.append(Recovered(stream, reason, count))
    return done


async def _check(api: JetStreamApi, outboxes: Outboxes) -> dict[str, str]:
    reasons = {}
    for stream in OWN_STREAMS:
        age_s_max = _age_s_max(stream)
        if age_s_max is not None:  # what is about to age out may be gone from the stream already
            age_s_max -= AGE_MARGIN_S
        marks = await outboxes.marks(stream.value, age_s_max)
        found = _log(await api.stream_info(stream.value))
        seqs = {mark.ack_seq for mark in marks} if found is not None else set()
        ids = {seq: await api.message_id(stream.value, seq) for seq in seqs}
        reason = lost(found, marks, ids)
        if reason is not None:
            reasons[stream.value] = reason
    return reasons


async def _recreate(api: JetStreamApi, plan: Plan, outboxes: Outboxes, stream: str) -> int:
    age_s_max = _age_s_max(Stream(stream))
    found = _log(await api.stream_info(stream))
    highest = max(await outboxes.highest(stream), found.last_seq if found else 0)
    if found is not None:
        await api.delete_stream(stream)
    config: Json = {
        **plan.streams[stream],
        "first_seq": highest + SEQUENCE_GAP,
        "metadata": {RECOVERING: "true"},
    }
    fresh = _log(await api.create_stream(config))
    if fresh is None:
        raise ApiError(f"STREAM.CREATE.{stream}", 0, "the answer has no creation time")
    await apply(api, plan)  # the durables went with the stream
    count = 0
    async for batch in outboxes.batches(stream, age_s_max, BATCH_MAX):
        ending.check()
        last = await publish_batch(api.client, batch)
        first = last - len(batch) + 1
        await outboxes.moved([(row, first + i) for i, row in enumerate(batch)], fresh.created)
        count += len(batch)
    info = await api.stream_info(stream) or {}
    kept = section(info, "config")
    metadata = {k: v for k, v in section(kept, "metadata").items() if k != RECOVERING}
    await api.update_stream({**kept, "metadata": metadata})
    return count


async def publish_batch(client: Client, batch: Sequence[Published]) -> int:
    """Publish rows all or nothing (NATS ADR-50); returns the last one's sequence."""
    batch_id = uuid4().hex
    answer: Json = {}
    for number, row in enumerate(batch, start=1):
        headers: Mapping[str, str] = {
            **row.headers,
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(number),
            **({"Nats-Batch-Commit": "1"} if number == len(batch) else {}),
        }
        if number not in (1, len(batch)):
            await client.publish(row.subject, row.payload, headers=dict(headers))
            continue
        reply = await client.request(
            row.subject, row.payload, timeout=PUBLISH_SECONDS_MAX, headers=dict(headers)
        )
        answer = json.loads(reply.data) if reply.data else {}
        if "error" in answer:
            error = section(answer, "error")
            raise ApiError(row.subject, int(str(error["code"])), str(error["description"]))
    return int(str(answer["seq"]))


def _log(info: Json | None) -> Log | None:
    if info is None:
        return None
    return Log(
        created=datetime.fromisoformat(str(info["created"])),
        last_seq=int(str(section(info, "state").get("last_seq", 0))),
        recovering=RECOVERING in section(section(info, "config"), "metadata"),
    )


def _age_s_max(stream: Stream) -> float | None:
    age_ns = AGE_NS_MAX.get(stream)
    return None if age_ns is None else age_ns / SECOND_NS
