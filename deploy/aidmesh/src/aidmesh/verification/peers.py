"""Regions on other machines: what they report of the events they have taken."""

import asyncio
import json
from collections.abc import Sequence

from nats.aio.msg import Msg

from aidmesh.quiet import RegionProbe
from aidmesh.topology.api import JetStreamApi
from aidmesh.topology.reporter import REPORT_S, Arrived, peers_of
from aidmesh.verification.outcome import Outcome, outcome
from aidmesh.verification.streams import Marks
from aidmesh_contracts.streams import WORLD_REPORT_SUBJECT, Stream

REPORTS_MAX = 3
"""A peer's report may be as old as one period; so many are waited for."""


async def peers_elsewhere(probe: RegionProbe, here: Sequence[str]) -> list[str]:
    """The peers of a region that do not run on this machine."""
    return sorted(set(await peers_of(JetStreamApi(probe.client))) - set(here))


async def public_events_reported(probe: RegionProbe, marks: Sequence[Marks], peer: str) -> Outcome:
    """A peer that cannot be looked into reports as many public events as were sent, to the last."""
    sent = await _sent(probe, marks)
    arrived = await _report_of(probe, peer, sent)
    odd: list[str] = []
    if arrived is None:
        odd.append(f"{peer} reported nothing within {REPORTS_MAX * REPORT_S:.0f} s")
    elif not _is_all(arrived, sent):
        odd.append(
            f"{peer} reports {arrived.messages} of {sent.messages} events, "
            f"the last #{arrived.last_seq} of #{sent.last_seq}"
        )
    return outcome(
        f"{probe.name}.public_events_reported_by_{peer}",
        f"{peer}, on another machine, reports all {sent.messages} public events",
        odd,
    )


async def last_reported(probe: RegionProbe, peer: str) -> int | None:
    """The last event of a region that a peer reports to have; None when it reports nothing."""
    report = await _report_of(probe, peer, Arrived(0, 0))
    return None if report is None else report.last_seq


async def _sent(probe: RegionProbe, marks: Sequence[Marks]) -> Arrived:
    messages = last_seq = 0
    for mark in marks:
        acked = mark.acked.get(Stream.EVENTS, 0)
        messages += await probe.connections[mark.service].fetchval(
            "SELECT count(*) FROM outbox "
            "WHERE status = 'acked' AND stream = 'EVENTS' AND ack_seq <= $1",
            acked,
        )
        last_seq = max(last_seq, acked)
    return Arrived(messages, last_seq)


async def _report_of(probe: RegionProbe, peer: str, wanted: Arrived) -> Arrived | None:
    """The first report that is complete, else the last one that came."""
    reports: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await probe.client.subscribe(
        WORLD_REPORT_SUBJECT.format(region=peer), cb=reports.put
    )
    arrived: Arrived | None = None
    try:
        async with asyncio.timeout(REPORTS_MAX * REPORT_S):
            while arrived is None or not _is_all(arrived, wanted):
                report = json.loads((await reports.get()).data).get(probe.name)
                told = report or {}  # what a newer version tells besides is not needed here
                arrived = Arrived(told.get("messages", 0), told.get("last_seq", 0))
    except TimeoutError:
        pass
    finally:
        await subscription.unsubscribe()
    return arrived


def _is_all(arrived: Arrived, sent: Arrived) -> bool:
    """A log that was made anew is read anew, so there may be more messages than events."""
    return arrived.messages >= sent.messages and arrived.last_seq >= sent.last_seq
