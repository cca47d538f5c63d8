"""The courier: handoffs go straight into the stream of the region they are for.

It has a connection of its own, whose inbox prefix is the one that links let through, since the
peer's stream answers over the link. A peer that is away keeps only what is for it waiting: it is
tried with one row from time to time, whatever else waits for it.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

from nats.errors import Error

from aidmesh_chassis import ending, handoff
from aidmesh_chassis.bell import Bell
from aidmesh_chassis.client import Client
from aidmesh_chassis.db import Database
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import TRANSIENT
from aidmesh_chassis.handoff import Parcel
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.nkey import follow, tls_of
from aidmesh_chassis.peers import DARK_S, Peers
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.streams import Stream

if TYPE_CHECKING:
    from aidmesh_chassis.spans import Spans

log = get_logger()

CLAIM_MAX = 256
IN_FLIGHT_MAX = 64
PUBLISH_S_MAX = 3.0
SWEEP_S = 1.0
CONNECT_S_MAX = 5.0
PROBE_S_MIN, PROBE_S_MAX = 1.0, 30.0
"""How long nothing is tried with a region that took nothing: twice as long each time."""


@dataclass(slots=True)
class _Away:
    """A region that took nothing: when it is tried again (`monotonic`), and how long after
    that if it does not."""

    next_at: float
    pause_s: float


class Courier:
    """Hands over what one service has for other regions.

    Args:
        database: whose handoffs.
        settings: the region's server and this service's account there.
        peers: who is heard; where one comes back nothing waits any longer.
        spans: where sending is traced; None where traces are off.
    """

    def __init__(
        self,
        database: Database,
        settings: ServiceSettings,
        peers: Peers,
        spans: "Spans | None" = None,
    ) -> None:
        self._db = database
        self._settings = settings
        self._peers = peers
        self._spans = spans
        self._client = Client()
        self._bell = Bell()
        self._dark: set[str] = set()
        self._away: dict[str, _Away] = {}
        self._wait = Wait()

    def wake(self) -> None:
        """Say that there is something to hand over."""
        self._bell.ring()

    async def run(self) -> None:
        """Hand over until cancelled."""
        await self._connect()
        try:
            while goes_on():
                try:
                    if self._client.is_closed:  # an error of the server's; it never comes back
                        self._client = Client()
                        await self._connect()
                    await self._hurry_for_those_who_are_back()
                    claimed = await self.hand_over_once()
                except TRANSIENT as error:
                    self._wait.warning("courier.waits", cause=type(error).__name__)
                    await asyncio.sleep(SWEEP_S)
                    continue
                if self._client.is_connected:
                    self._wait.over()
                if claimed >= CLAIM_MAX:
                    continue
                await self._bell.wait(self._pause_s())
        finally:
            try:
                async with asyncio.timeout(CONNECT_S_MAX):
                    await ending.close(self._client)
            except (OSError, TimeoutError, Error):
                log.debug("courier.close_failed")

    async def hand_over_once(self) -> int:
        """Publish what is due, up to `CLAIM_MAX` rows; returns how many were claimed."""
        if not self._client.is_connected:
            return 0
        async with self._db.begin() as conn:
            parcels = await handoff.claim(conn, CLAIM_MAX, self._away, self._probed())
        if not parcels:
            return 0
        reached: set[UUID] = set()
        with (
            nullcontext() if self._spans is None else self._spans.sending(parcels, lambda: reached)
        ):
            await self._publish_all(parcels, reached)
        missed = [parcel for parcel in parcels if parcel.event_id not in reached]
        self._note_away(
            {parcel.to_region for parcel in parcels}, {parcel.to_region for parcel in missed}
        )
        async with self._db.begin() as conn:
            if reached:
                await handoff.published(conn, reached)
            if missed:
                await handoff.unreached(conn, [parcel.event_id for parcel in missed])
        for region in sorted({parcel.to_region for parcel in missed}):
            log.info("handoff.waits", peer=region)
        return len(parcels)

    def _pause_s(self) -> float:
        """Until the next look; whoever is away may be back."""
        return SWEEP_S if self._away else self._db.pace.interval_s(SWEEP_S)

    def _probed(self) -> list[str]:
        """The regions that are away and may be back."""
        now = monotonic()
        return [region for region, away in self._away.items() if away.next_at <= now]

    def _note_away(self, tried: Collection[str], missed: Collection[str]) -> None:
        """Note which of those that were tried took nothing, or not all."""
        now = monotonic()
        for region in tried:
            before = self._away.pop(region, None)
            if region in missed:
                pause_s = PROBE_S_MIN if before is None else before.pause_s
                self._away[region] = _Away(now + pause_s, min(2 * pause_s, PROBE_S_MAX))

    async def _publish_all(self, parcels: Sequence[Parcel], reached: set[UUID]) -> None:
        """Publish, many at once; the first that a region does not take ends its round.

        Args:
            parcels: all that are due.
            reached: ids are added of those that arrived.
        """
        away: set[str] = set()
        slots = asyncio.Semaphore(IN_FLIGHT_MAX)

        async def publish(parcel: Parcel) -> None:
            async with slots:
                if parcel.to_region in away:
                    return
                if await self._publish(parcel):
                    reached.add(parcel.event_id)
                else:
                    away.add(parcel.to_region)

        await asyncio.gather(*(publish(parcel) for parcel in parcels))

    async def _publish(self, parcel: Parcel) -> bool:
        try:
            reply = await self._client.request(
                parcel.subject, parcel.payload, timeout=PUBLISH_S_MAX, headers=parcel.headers
            )
            answer = json.loads(reply.data)
        except (Error, OSError, TimeoutError, ValueError):
            return False
        if not isinstance(answer, dict) or "error" in answer:  # such as a full disk
            return False
        return answer.get("stream") == Stream.HANDOFF

    async def _hurry_for_those_who_are_back(self) -> None:
        """A peer that was dark and is heard again was away: what waits for it is sent at once."""
        dark = {region for region, age_s in self._peers.ages_s().items() if age_s > DARK_S}
        back = self._dark - dark
        self._dark = dark
        if back:
            for region in back:
                self._away.pop(region, None)
            async with self._db.begin() as conn:
                await handoff.hurry(conn, back)

    async def _connect(self) -> None:
        settings = self._settings
        service = self._db.origin.service
        seed_file = settings.nats_seed_file
        while goes_on():
            try:
                async with asyncio.timeout(2 * CONNECT_S_MAX):  # it can hang on a dead server
                    await self._client.connect(
                        settings.nats_url.split(","),
                        nkeys_seed=None if seed_file is None else str(seed_file),
                        tls=tls_of(settings.nats_ca_file),
                        name=f"aidmesh-{settings.region}-{service}-handoff",
                        inbox_prefix=f"_INBOX_handoff_{settings.region}.{service}".encode(),
                        connect_timeout=int(CONNECT_S_MAX),
                        max_reconnect_attempts=-1,
                        reconnect_time_wait=1,
                        ping_interval=5,
                        max_outstanding_pings=2,
                        pending_size=0,  # what can't be sent now is sent by the next round
                        error_cb=_be_quiet,
                    )
            except (OSError, TimeoutError, Error) as error:
                self._wait.warning("courier.waits", cause=type(error).__name__)
                await asyncio.sleep(SWEEP_S)
            else:
                follow(self._client, seed_file)
                return


async def _be_quiet(error: Exception) -> None:
    log.debug("courier.client_error", reason=type(error).__name__)
