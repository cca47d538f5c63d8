"""Sends what is due: marked `sending` first, then out, then recorded.

Between the first and the last step the process may die. Whoever finds such a message later
can't tell whether it left, so it becomes `unknown` (see `sweeping.settle_cut_short`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from aidmesh_chassis import waits
from aidmesh_chassis.crypto import DecryptionFailed
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import TRANSIENT
from aidmesh_chassis.keys import Locked
from aidmesh_chassis.logs import carrying, get_logger
from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.notification import MessageSentV1
from aidmesh_notification.channels import Interrupted, NotSent, Outlet, Unreachable
from aidmesh_notification.domain.cards import Channel, Reach, reach_of, read_card
from aidmesh_notification.domain.outages import Passage, look_again, seen_away
from aidmesh_notification.domain.sending import (
    Reason,
    Retry,
    Send,
    Suppress,
    Wait,
    after_refusal,
    decide,
)
from aidmesh_notification.handlers.telling import emit_suppressed, state_of
from aidmesh_notification.store import lists, outages, outbound
from aidmesh_notification.texts import Rendered, Templates
from aidmesh_notification.until import Until

log = get_logger()

IDLE_S = 0.25
LOCKED_S = 2.0
OUTAGE_S = 1.0
# No message is begun later than this after its batch was decided on; together with the longest
# call it stays below the lease, so a sender that lives never finds its own messages lost.
BEGIN_S_MAX = 30.0
LEASE_SLACK_S = 15.0
RECORD_TRIES_MAX = 60


Opener = Callable[[bytes], bytes]
"""Opens what was sealed to notification."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message marked `sending`: only here do address and text come together."""

    message_id: UUID
    post_id: UUID
    tries: int
    queued_at: datetime
    channel: Channel
    address: PersonalText
    rendered: Rendered


@dataclass(slots=True)
class Outcome:
    """What became of a batch, message by message.

    Attributes:
        refused: with whether that lasts.
        interrupted: the channel was lost over them; they did not leave.
        not_begun: nobody was told of them: their channel is away, or there was no time.
        away: channels that take nothing, and why.
    """

    sent: list[Outgoing] = field(default_factory=list)
    refused: list[tuple[Outgoing, bool]] = field(default_factory=list)
    interrupted: list[Outgoing] = field(default_factory=list)
    unknown: list[Outgoing] = field(default_factory=list)
    not_begun: list[Outgoing] = field(default_factory=list)
    away: dict[Channel, str] = field(default_factory=dict)

    @property
    def answered(self) -> set[Channel]:
        """Channels that were there; a mail refused for good may have been refused by us."""
        there = [*self.sent, *self.interrupted, *self.unknown]
        there += [message for message, lasting in self.refused if not lasting]
        return {message.channel for message in there} - self.away.keys()


class Sender:
    """Sends batches of due messages for as long as the service runs.

    Args:
        opener: gives what opens contact cards; both raise `Locked` without the key.
        outlets: the channels that are set up.
        call_ms_max: how long an outlet takes over one message at most.
        outage_s_max: a channel that is away is tried again at the latest after that.
    """

    def __init__(
        self,
        database: Database,
        opener: Callable[[], Opener],
        outlets: Mapping[Channel, Outlet],
        templates: Templates,
        *,
        batch_max: int,
        call_ms_max: int,
        tries_max: int,
        retry_s: float,
        outage_s_max: float,
    ) -> None:
        self._db = database
        self._opener = opener
        self._outlets = dict(outlets)
        self._templates = templates
        self._batch_max = batch_max
        self._call_s_max = call_ms_max / 1000
        self._tries_max = tries_max
        self._retry_s = retry_s
        self._outage_s_max = outage_s_max
        self._wait = waits.Wait()
        self._claims: set[UUID] = set()

    @property
    def claims(self) -> Collection[UUID]:
        """What it is sending now: a machine that slept wakes long after these have run out."""
        return frozenset(self._claims)

    async def run(self) -> None:
        """Send until cancelled; an outage or a missing key only makes it wait."""
        locked = False
        try:
            while goes_on():
                try:
                    handled = await self.run_once()
                    self._wait.over()
                    locked = False
                except Locked:
                    if not locked:
                        log.warning("sender.locked")
                    locked = True
                    await asyncio.sleep(LOCKED_S)
                    continue
                except TRANSIENT as error:
                    self._wait.warning("sender.waits", cause=type(error).__name__)
                    await asyncio.sleep(OUTAGE_S)
                    handled = 0
                except Exception:
                    # What was claimed is found again when its claim runs out: `unknown` if it was
                    # being sent, else due once more.
                    log.exception("sender.failed")
                    handled = 0
                if handled < self._batch_max:
                    await self._db.pace.pause(IDLE_S)
        finally:
            for outlet in set(self._outlets.values()):
                await outlet.close()

    async def run_once(self) -> int:
        """Decide on one batch of due messages and send those that may go out.

        Returns:
            how many messages were decided on.

        Raises:
            Locked: the key for contact cards is not loaded; messages wait.
        """
        opened = self._opener()
        claim_id = uuid4()
        self._claims.add(claim_id)
        try:
            return await self._handle_batch(opened, claim_id)
        finally:
            self._claims.remove(claim_id)

    async def _handle_batch(self, opened: Opener, claim_id: UUID) -> int:
        async with self._db.transaction(looks=True) as tx:
            messages = await outbound.due(tx.conn, self._batch_max)
            if not messages:
                return 0
            begin_until = Until.after(BEGIN_S_MAX)
            outgoing = await self._claim(tx, messages, opened, claim_id)
        self._db.pace.worked()
        if outgoing:
            outcome = await self._send_all(outgoing, begin_until)
            await self._persist(lambda tx: self._record(tx, outcome, claim_id))
        return len(messages)

    async def _claim(
        self, tx: Tx, messages: Sequence[outbound.Due], opened: Opener, claim_id: UUID
    ) -> list[Outgoing]:
        """Decide on each message; what may go out is `sending` when this transaction commits."""
        count = (
            await lists.count_to_tell(tx.conn)
            if any(message.need_id is None for message in messages)
            else 0
        )
        passage = Passage(await outages.current(tx.conn), tx.now)
        leaving: list[tuple[outbound.Due, Send]] = []
        waits: list[tuple[UUID, datetime]] = []
        ended: list[tuple[UUID, str, str]] = []
        for message in messages:
            queued = message.queued
            decision = decide(
                queued,
                tx.now,
                over=message.over,
                erased=message.erased,
                reach=None if message.over or message.erased else _reach(message, opened),
            )
            if isinstance(decision, Send) and not self._can_send(queued.template, decision):
                decision = Suppress("rejected")
            if isinstance(decision, Suppress):
                ended.append((queued.message_id, state_of(decision.reason), decision.reason))
                continue
            opens = (
                decision.until
                if isinstance(decision, Wait)
                else passage.opens(decision.reach.channel)
            )
            if opens is not None and opens > tx.now:
                waits.append((queued.message_id, opens))
            elif isinstance(decision, Send) and opens is not None:
                leaving.append((message, decision))
        if waits:
            await outbound.postpone(tx.conn, waits, None)
        if ended:
            emit_suppressed(tx, await outbound.end(tx.conn, ended, None))
        if erased := [each.queued.message_id for each in messages if each.erased]:
            await outbound.forget_late(tx.conn, erased)
        if not leaving:
            return []
        post_ids = await outbound.mark_sending(
            tx.conn,
            [(message.queued.message_id, send.reach.channel) for message, send in leaving],
            claim_id,
            BEGIN_S_MAX + self._call_s_max + LEASE_SLACK_S,
        )
        return [self._outgoing(message, send, count, post_ids) for message, send in leaving]

    def _outgoing(
        self, message: outbound.Due, decision: Send, count: int, post_ids: Mapping[UUID, UUID]
    ) -> Outgoing:
        return Outgoing(
            message.queued.message_id,
            post_ids[message.queued.message_id],
            message.tries + 1,
            message.queued_at,
            decision.reach.channel,
            decision.reach.address,
            self._templates.render(
                message.queued.template,
                decision.wording,
                decision.reach.language,
                until_at=decision.until_at,
                count=count,
                starts_at=message.queued.starts_at,
                from_on=message.queued.from_on,
            ),
        )

    def _can_send(self, template: str, decision: Send) -> bool:
        return decision.reach.channel in self._outlets and self._templates.get(template) is not None

    async def _send_all(self, outgoing: Sequence[Outgoing], begin_until: Until) -> Outcome:
        outcome = Outcome()
        by_outlet: dict[Outlet, list[Outgoing]] = defaultdict(list)
        for message in outgoing:
            by_outlet[self._outlets[message.channel]].append(message)
        async with asyncio.TaskGroup() as tasks:
            for outlet, messages in by_outlet.items():
                shared = iter(messages)
                for _ in range(min(outlet.concurrency, len(messages))):
                    tasks.create_task(self._drain(outlet, shared, begin_until, outcome))
        return outcome

    async def _drain(
        self,
        outlet: Outlet,
        messages: Iterator[Outgoing],
        begin_until: Until,
        outcome: Outcome,
    ) -> None:
        """One worker: takes messages from the shared iterator until there are none."""
        for message in messages:
            if message.channel in outcome.away or begin_until.is_over:
                outcome.not_begun.append(message)
                continue
            try:
                await outlet.send(
                    message.message_id, message.post_id, message.address, message.rendered
                )
            except Unreachable as trouble:
                outcome.away[message.channel] = trouble.cause
                outcome.not_begun.append(message)
            except Interrupted as trouble:
                log.warning(
                    "message.interrupted", message_id=str(message.message_id), cause=trouble.cause
                )
                outcome.interrupted.append(message)
            except NotSent as refusal:
                outcome.refused.append((message, refusal.lasting))
            except Exception as error:  # noqa: BLE001 - whatever it was, it may have left
                # The text of the error may repeat the address, so only its class is told.
                log.warning(
                    "message.unknown",
                    message_id=str(message.message_id),
                    cause=type(error).__name__,
                )
                outcome.unknown.append(message)
            else:
                outcome.sent.append(message)

    async def _record(self, tx: Tx, outcome: Outcome, claim_id: UUID) -> None:
        """Write down what became of a batch; what was settled meanwhile is left alone."""
        held = await self._held(tx, outcome)
        waits: list[tuple[UUID, datetime]] = []
        ended: list[tuple[UUID, str, str]] = []
        for message, lasting in outcome.refused:
            follows = after_refusal(
                message.tries,
                tx.now,
                lasting=lasting,
                tries_max=self._tries_max,
                retry_s=self._retry_s,
            )
            if isinstance(follows, Retry):
                waits.append((message.message_id, follows.at))
            else:
                ended.append((message.message_id, state_of(follows.reason), follows.reason))
        unknown: Reason = "unknown"
        ended += [(each.message_id, state_of(unknown), unknown) for each in outcome.unknown]
        if outcome.sent:
            sent = [message.message_id for message in outcome.sent]
            for told in await outbound.mark_sent(tx.conn, sent, claim_id):
                with carrying(told.correlation_id, told.traceparent):
                    tx.emit(
                        MessageSentV1(
                            message_id=MessageId(told.message_id),
                            need_id=NeedId(told.need_id),
                            attempt_no=told.attempt_no,
                            sent_at=tx.now,
                        )
                    )
        if held:
            await outbound.postpone(tx.conn, held, claim_id, tries_back=1)
        if waits:
            await outbound.postpone(tx.conn, waits, claim_id)
        if ended:
            emit_suppressed(tx, await outbound.end(tx.conn, ended, claim_id))

    async def _held(self, tx: Tx, outcome: Outcome) -> list[tuple[UUID, datetime]]:
        """Note which channels are away; returns what waits for no fault of its own, until when."""
        known = await outages.current(tx.conn)
        away = {
            channel: seen_away(known.get(channel), tx.now, wait_s_max=self._outage_s_max)
            for channel in outcome.away
        }
        if away:
            await outages.put(tx.conn, away)
        for channel, outage in away.items():
            away_s = round((tx.now - outage.since).total_seconds())
            log.warning("channel.away", channel=channel, cause=outcome.away[channel], away_s=away_s)
        if back := known.keys() & outcome.answered:
            for channel, since in (await outages.end(tx.conn, back)).items():
                away_s = round((tx.now - since).total_seconds())
                log.info("channel.back", channel=channel, away_s=away_s)
        again = [
            (message, look_again(tx.now, message.queued_at, wait_s_max=self._outage_s_max))
            for message in outcome.interrupted
        ]
        again += [
            (message, away[message.channel].look_at if message.channel in away else tx.now)
            for message in outcome.not_begun
        ]
        return [(message.message_id, at) for message, at in again]

    async def _persist(self, write: Callable[[Tx], Awaitable[None]]) -> None:
        """Write results through an outage: forgetting them would make sent messages unknown.

        Raises:
            OSError, asyncpg.PostgresError: the database stayed away; the lease decides.
        """
        for attempt in range(1, RECORD_TRIES_MAX + 1):
            try:
                async with self._db.transaction() as tx:
                    await write(tx)
            except TRANSIENT as error:
                if attempt == RECORD_TRIES_MAX:
                    raise
                self._wait.warning("sender.waits", cause=type(error).__name__)
                await asyncio.sleep(min(0.1 * attempt, 2.0))
            else:
                return


def _reach(message: outbound.Due, opened: Opener) -> Reach | None:
    """Open the card of a message, in memory only."""
    if message.sealed is None or message.card_of is None:
        return None
    try:
        plain = opened(message.sealed)
    except DecryptionFailed:
        log.warning("contact.unreadable", message_id=str(message.queued.message_id))
        return None
    card = read_card(plain, message.card_of, message.card_version)
    if card is None:
        log.warning("contact.unreadable", message_id=str(message.queued.message_id))
        return None
    return reach_of(card)
