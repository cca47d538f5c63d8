"""Finds out that a stream lost acknowledged messages, and brings them back.

A log that was wiped or put back to an earlier state would give old sequence numbers to new
events, and peers, who remember the last number they read, would never fetch those. So before a
region's relays may publish, the stream's creation time and last sequence are compared with the
highest acknowledged ones in all outboxes, and the messages there with the events that were
acknowledged: a log that was put back may have grown again since. If the log is shorter, or another
one, it is made anew:

1. the stream is deleted and created again, its numbers starting far above every number ever
   used, so that whatever position a peer remembers, all of the new log lies behind it;
2. it carries a mark until the end, so that a crash on the way is noticed;
3. the durables are created, and the outboxes' history is published under its old ids, in its
   old order; inboxes skip what they know.

A long history takes long. What was interrupted goes on where it was, unless the unfinished log lost
something in its turn: every row knows the number that it got there, and of the last batch before
the crash the log itself knows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from nats.aio.client import Client

from aidmesh.topology.api import MESSAGE_ID, ApiError, JetStreamApi, Json, section
from aidmesh.topology.history import Mark, Outboxes, Published, open_outboxes
from aidmesh.topology.plan import AGE_NS_MAX, SECOND_NS, Plan
from aidmesh.topology.progress import Progress
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
    """What the server says of a stream.

    Attributes:
        created: when; another time, another log.
        last_seq: of its last message; one less than the first where there is none.
        recovering: the mark of an unfinished recovery.
        first_seq: where it was made to begin; 0 if it was not made by a recovery.
    """

    created: datetime
    last_seq: int
    recovering: bool
    first_seq: int = 0

    @property
    def put_back(self) -> int:
        """How many events a recovery has put into it."""
        return self.last_seq - self.first_seq + 1


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a log is no good as it is, and its recovery that was interrupted, if it can go on."""

    reason: str
    unfinished: Log | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done for one stream: `messages` of the outboxes are in it again."""

    stream: str
    reason: str
    messages: int


def lost(found: Log | None, marks: Sequence[Mark], ids: Mapping[int, str | None]) -> str | None:
    """Why the log must be made anew, None when nothing acknowledged is missing. Pure.

    `ids` says which message the log holds at each mark's sequence, None for none.
    """
    if found is not None and found.recovering:
        return f"its recovery has not finished, {max(0, found.put_back)} events are back"
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


def goes_on_in(found: Log, marks: Sequence[Mark], ids: Mapping[int, str | None]) -> bool:
    """Whether an unfinished recovery can go on in the log that it began. Pure.

    It can't if what it had put there is missing, or was put into a later log since then.
    """
    if not found.recovering or not 0 < found.first_seq <= found.last_seq + 1:
        return False
    return all(
        ids.get(mark.ack_seq) == str(mark.event_id)
        if mark.stream_created == found.created
        else mark.ack_seq < found.first_seq
        for mark in marks
    )


async def check(api: JetStreamApi, dsns: Sequence[str]) -> dict[str, str]:
    """Which of the region's own streams lost something, and why. Changes nothing."""
    async with open_outboxes(dsns) as outboxes:
        return {stream: loss.reason for stream, loss in (await _check(api, outboxes)).items()}


async def recover(
    client: Client, plan: Plan, dsns: Sequence[str], progress: Progress
) -> list[Recovered]:
    """Make anew what lost something; the relays of the region must be waiting at the gate.

    Those that had an answer before are waited for: a row that is in no stream any more could still
    be on its way to being called sent, and would stay so.

    May be called again after a crash at any moment, and then goes on. `progress` is told how far it
    is. Raises as the server and databases do.
    """
    api = JetStreamApi(client)
    region = plan.region
    done = []
    async with open_outboxes(dsns) as outboxes:
        await outboxes.wait_for_rounds()
        for stream, loss in (await _check(api, outboxes)).items():
            log.warning("stream.recovery_started", region=region, stream=stream, reason=loss.reason)
            if loss.unfinished is None:
                made = await _recreate(api, plan, outboxes, stream)
            else:
                made = loss.unfinished
                await _settle(api, outboxes, stream, made)
            count = await _put_back(api, plan, outboxes, stream, made, progress)
            log.warning("stream.recovery_finished", region=region, stream=stream, messages=count)
            done.append(Recovered(stream, loss.reason, count))
    return done


async def _check(api: JetStreamApi, outboxes: Outboxes) -> dict[str, Loss]:
    losses = {}
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
            goes_on = found is not None and goes_on_in(found, marks, ids)
            losses[stream.value] = Loss(reason, found if goes_on else None)
    return losses


async def _recreate(api: JetStreamApi, plan: Plan, outboxes: Outboxes, stream: str) -> Log:
    """Put an empty log, with the mark, in the place of one that lost something."""
    found = _log(await api.stream_info(stream))
    highest = max(await outboxes.highest(stream), found.last_seq if found else 0)
    if found is not None:
        await api.delete_stream(stream)
    first_seq = highest + SEQUENCE_GAP
    config: Json = {
        **plan.streams[stream],
        "first_seq": first_seq,
        "metadata": {RECOVERING: "true"},
    }
    made = _log(await api.create_stream(config))
    if made is None:
        raise ApiError(f"STREAM.CREATE.{stream}", 0, "the answer has no creation time")
    return replace(made, first_seq=first_seq, last_seq=first_seq - 1)


async def _settle(api: JetStreamApi, outboxes: Outboxes, stream: str, made: Log) -> None:
    """Write down the sequences of the last batch that an interrupted recovery published.

    Its rows come first of those that are left; a row that is there may not be published again.
    """
    first = max(made.first_seq, made.last_seq - BATCH_MAX + 1)
    held = {await api.message_id(stream, seq): seq for seq in range(first, made.last_seq + 1)}
    left = outboxes.batches(stream, made.first_seq, _age_s_max(Stream(stream)), BATCH_MAX)
    there = [
        (row, held[row.headers[MESSAGE_ID]])
        for row in await anext(left, [])
        if row.headers[MESSAGE_ID] in held
    ]
    await outboxes.moved(there, made.created)


async def _put_back(
    api: JetStreamApi, plan: Plan, outboxes: Outboxes, stream: str, made: Log, progress: Progress
) -> int:
    """Publish what is left into a log with the mark, and take the mark off; how many it holds."""
    await apply(api, plan)  # the durables went with the stream
    age_s_max = _age_s_max(Stream(stream))
    left = await outboxes.count(stream, made.first_seq, age_s_max)
    total = None if left is None else made.put_back + left
    count = made.put_back
    progress.put_back(stream, count, total)
    async for batch in outboxes.batches(stream, made.first_seq, age_s_max, BATCH_MAX):
        ending.check()
        last = await publish_batch(api.client, batch)
        first = last - len(batch) + 1
        await outboxes.moved([(row, first + i) for i, row in enumerate(batch)], made.created)
        count += len(batch)
        progress.put_back(stream, count, total)
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
    config = section(info, "config")
    return Log(
        created=datetime.fromisoformat(str(info["created"])),
        last_seq=int(str(section(info, "state").get("last_seq", 0))),
        recovering=RECOVERING in section(config, "metadata"),
        first_seq=int(str(config.get("first_seq", 0))),
    )


def _age_s_max(stream: Stream) -> float | None:
    age_ns = AGE_NS_MAX.get(stream)
    return None if age_ns is None else age_ns / SECOND_NS
