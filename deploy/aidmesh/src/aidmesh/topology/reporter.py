"""Tells the other regions how much of their events has arrived here.

A region on another machine cannot be looked into; what it reports is how `aidmesh verify` knows
that every public event reached it.
"""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from typing import NamedTuple, cast

import nats.errors
from nats.aio.client import Client

from aidmesh.topology.api import NOT_FOUND, ApiError, JetStreamApi, Json, section
from aidmesh.topology.plan import peer_of
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger
from aidmesh_contracts.streams import WORLD_REPORT_SUBJECT, Stream

log = get_logger()

REPORT_S = 5.0

_SOURCE = re.compile(rb"\r\nNats-Stream-Source: ?\S+ (\d+)")
_TIME = re.compile(rb"\r\nce-time: ?(\S+)", re.IGNORECASE)


class Arrived(NamedTuple):
    """What a log holds of one origin: how many messages, the last one's sequence there and time.

    `last_at` is when that event happened, in ISO 8601; None where it is not known.
    """

    messages: int
    last_seq: int
    last_at: str | None = None


async def peers_of(api: JetStreamApi) -> list[str]:
    """The regions that a region's WORLD reads from."""
    info = await api.stream_info(Stream.WORLD.value)
    sources = [] if info is None else section(info, "config").get("sources") or []
    return [peer_of(source) for source in cast("list[Json]", sources)]


async def arrived_from(api: JetStreamApi, origin: str) -> Arrived:
    """What the own WORLD holds of an origin."""
    subjects = f"aid.{origin}.>"
    info = await api.request(f"STREAM.INFO.{Stream.WORLD}", {"subjects_filter": subjects})
    counts = cast("Mapping[str, int]", section(info, "state").get("subjects") or {})
    try:
        last = await api.request(f"STREAM.MSG.GET.{Stream.WORLD}", {"last_by_subj": subjects})
    except ApiError as error:
        if error.code == NOT_FOUND:
            return Arrived(0, 0)
        raise
    head = base64.b64decode(str(section(last, "message").get("hdrs", "")))
    found = _SOURCE.search(head)
    return Arrived(sum(counts.values()), 0 if found is None else int(found[1]), _happened_at(head))


async def own_log(api: JetStreamApi) -> Arrived | None:
    """What the own EVENTS holds, which is what the peers are to have; None without one."""
    info = await api.stream_info(Stream.EVENTS.value)
    if info is None:
        return None
    state = section(info, "state")
    messages, last_seq = int(str(state.get("messages", 0))), int(str(state.get("last_seq", 0)))
    if not messages:
        return Arrived(messages, last_seq)
    last = await api.request(f"STREAM.MSG.GET.{Stream.EVENTS}", {"seq": last_seq})
    head = base64.b64decode(str(section(last, "message").get("hdrs", "")))
    return Arrived(messages, last_seq, _happened_at(head))


def _happened_at(head: bytes) -> str | None:
    found = _TIME.search(head)
    return None if found is None else found[1].decode("ascii", "replace")


class Reporter:
    """Publishes the report of one region."""

    def __init__(self, client: Client, api: JetStreamApi, region: str) -> None:
        self._client = client
        self._api = api
        self._region = region
        self._subject = WORLD_REPORT_SUBJECT.format(region=region)

    async def run(self) -> None:
        """Report until cancelled; while the server is away there is nobody to tell."""
        while goes_on():
            try:
                await self.report()
            except (OSError, TimeoutError, nats.errors.Error, ApiError) as error:
                log.debug("world.report_failed", reason=type(error).__name__)
            await asyncio.sleep(REPORT_S)

    async def report(self) -> None:
        """Report once."""
        arrived = {
            peer: (await arrived_from(self._api, peer))._asdict()
            for peer in await peers_of(self._api)
        }
        if arrived:
            own = await own_log(self._api)
            if own is not None:
                arrived[self._region] = own._asdict()
            await self._client.publish(self._subject, json.dumps(arrived).encode())
