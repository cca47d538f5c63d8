"""Waits until a mesh has come to rest, and says which promises were not kept."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from aidmesh.chaos import compare
from aidmesh.chaos.book import Book, Status, text
from aidmesh.chaos.compare import Check, Known
from aidmesh.chaos.copies import differing_copies
from aidmesh.chaos.linked import links_are_as_decided, people_count_once
from aidmesh.chaos.money import money_is_conserved
from aidmesh.chaos.onward import grants_add_up, nothing_goes_back
from aidmesh.chaos.present import accepted_is_present
from aidmesh.chaos.ruled import choices_stand, rules_keep_their_bounds
from aidmesh.chaos.snapshot import look
from aidmesh.chaos.trace import traced
from aidmesh.chaos.violation import Violation, ids_in
from aidmesh.chaos.waiting import waiting_in
from aidmesh.meshfile import MeshFile
from aidmesh.quiet import Lag, RegionProbe, probing, wait_quiet
from aidmesh.verification.outcome import Outcome
from aidmesh.verification.run import check_all, check_at_rest
from aidmesh_notification.texts import load_templates

QUIET_S_MAX: Final = 240.0
REST_S_MAX: Final = 75.0
"""Longer than any sweep, and than the lease of a message that was being sent when all broke."""
LOOK_S: Final = 2.0

People = Callable[[], Awaitable[Mapping[str, int | None]]]

CHECKS: Final[tuple[Check, ...]] = (
    compare.answered,
    accepted_is_present,
    compare.needs_are_right,
    compare.nobody_waits_for_what_is_free,
    compare.stock_is_conserved,
    compare.asks_agree,
    compare.shipments_agree,
    rules_keep_their_bounds,
    choices_stand,
    compare.beds_are_booked_once,
    compare.people_are_told_once,
    money_is_conserved,
    nothing_goes_back,
    grants_add_up,
    links_are_as_decided,
    people_count_once,
)


def told_once() -> frozenset[str]:
    """Templates that must not be sent twice."""
    return frozenset(
        template.code
        for template in load_templates("Aidmesh")
        if template.guarantee == "at_most_once"
    )


def left(spool: Path) -> list[str]:
    """Ids of the messages that left, in their order."""
    if not spool.exists():
        return []
    lines = spool.read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["message_id"]) for line in lines]


async def judge(
    data: Path,
    mesh: MeshFile,
    book: Book,
    spool: Path,
    people: People,
    *,
    rest_s_max: float = REST_S_MAX,
) -> list[Violation]:
    """Compare once all is quiet; what does not fit is looked at again until `rest_s_max` is over.

    Args:
        spool: file to which all messages went.
        people: asks each region how many people all have helped.
    """
    async with probing(mesh) as probes:
        noisy = await wait_quiet(probes, QUIET_S_MAX)
        if noisy:
            return await traced(await _restless(probes, noisy), probes)
        end = time.monotonic() + rest_s_max
        while True:
            found = await _compared(probes, book, spool, people)
            if not found or time.monotonic() > end:
                break
            await asyncio.sleep(LOOK_S)
        found += await _verified(data, probes)
        return await traced(found, probes)


async def _restless(probes: Sequence[RegionProbe], noisy: Mapping[str, Lag]) -> list[Violation]:
    here = {probe.name: probe for probe in probes}
    return [
        Violation(
            "the mesh comes to rest",
            name,
            f"{lag.unsent} unsent, {lag.untaken} untaken, {lag.failing} failing",
            await waiting_in(here[name]),
        )
        for name, lag in noisy.items()
    ]


async def _compared(
    probes: Sequence[RegionProbe], book: Book, spool: Path, people: People
) -> list[Violation]:
    known = Known(
        book,
        {probe.name: await look(probe) for probe in probes},
        left(spool),
        told_once(),
        await people(),
    )
    found = [violation for check in CHECKS for violation in check(known)]
    found += [violation async for violation in differing_copies(probes)]
    return found


async def _verified(data: Path, probes: Sequence[RegionProbe]) -> list[Violation]:
    async def look() -> list[Outcome]:
        return await check_all(data, probes, None)

    noisy, outcomes = await check_at_rest(probes, look, quiet_s_max=QUIET_S_MAX)
    failing = [of_outcome(each) for each in outcomes if not each.ok]
    return [*failing, *await _restless(probes, noisy)]


def of_outcome(found: Outcome) -> Violation:
    """What `aidmesh verify` found, about the ids that it names. Pure."""
    region = found.name.partition(".")[0]
    return Violation(f"aidmesh verify: {found.name}", region, found.detail, ids_in(found.detail))


def counted(book: Book) -> Mapping[str, object]:
    """How much was asked, for the report."""
    kinds = Counter(op.what for op in book.accepted())
    refusals = Counter(
        f"{op.what}: {text(op.answer, 'type').rpartition(':')[2] or text(op.answer, 'problem')}"
        for op in book.ops
        if op.status is Status.REFUSED
    )
    return {
        "begun": len(book.ops),
        "accepted": len(book.accepted()),
        "refused": refusals.total(),
        "unanswered": len(book.unknown()),
        "sent_again": sum(op.sent > 1 for op in book.ops),
        "looks_at_grants": book.shown.grants,
        "by_kind": dict(sorted(kinds.items())),
        "refused_by_kind": dict(sorted(refusals.items())),
    }
