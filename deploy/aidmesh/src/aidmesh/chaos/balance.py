"""A grant as one answer shows it: its sums against their parts, and against the book. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aidmesh.chaos.book import Json, Op, Status, allotted_minor, rows, text

_PARTS: Final = (
    "unallotted_minor",
    "allotted_minor",
    "exchange_difference_minor",
    "refund_due_minor",
    "refunded_minor",
)
"""Where what a grant received can be."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What the book has of a grant: instalments by reference, and what was sent, by allotment."""

    instalments: Mapping[str, int]
    allotted: Mapping[str, int]


def paid_of(ops: Iterable[Op], grant: str, *, begun_too: bool = False) -> Paid:
    """What was accepted of a grant; with `begun_too` also what may have been.

    Args:
        grant: its id.
    """
    wanted = {Status.ACCEPTED, *((Status.UNKNOWN,) if begun_too else ())}
    known = [op for op in ops if op.status in wanted]
    mine = [op for op in known if op.facts.get("grant") == grant]
    sent = {text(op.answer, "allotment_id") for op in mine if op.what == "allot"}
    sums = allotted_minor(known)
    return Paid(
        {op.facts["reference"]: int(op.facts["amount_minor"])
         for op in mine if op.what == "instalment"},
        {each: sums[each] for each in sent if each},
    )  # fmt: skip


def unbalanced(shown: Json, least: Paid, most: Paid) -> Iterator[str]:
    """What of an answer about an own grant can't be, in words.

    All of it is of one moment, so every sum has to be that of its parts, to the cent. Rates are not
    looked at: it is a grant that is spent in its own currency.

    Args:
        shown: `GET /grants/{id}`.
        least: what had been accepted when it was asked for.
        most: what may have been accepted when it was answered.
    """
    received, allotted = _minor(shown, "received_minor"), _minor(shown, "allotted_minor")
    parts = sum(_minor(shown, each) for each in _PARTS)
    if received != parts:
        yield f"{received} received, {parts} accounted for"
    came = [each for each in rows(shown, "instalments") if each["state"] == "received"]
    total = sum(_minor(each, "received_minor") for each in came)
    if received != total:
        yield f"{received} received, {total} by instalments"
    lines = sum(_minor(each, "allotted_minor") for each in rows(shown, "budget_lines"))
    if allotted != lines:
        yield f"{allotted} allotted, {lines} from its lines"
    sent = {text(each, "allotment_id"): each for each in rows(shown, "holders")}
    net = sum(_net_minor(each) for each in sent.values())
    if allotted != net:
        yield f"{allotted} allotted, {net} sent less what came back"
    for allotment, each in sent.items():
        yield from _holder(allotment, each, least.allotted.get(allotment, 0))
    for allotment in least.allotted.keys() - sent.keys():
        yield f"allotment {allotment} was accepted, and is not there"
    yield from _instalments(came, least, most)


def _holder(allotment: str, held: Json, accepted: int) -> Iterator[str]:
    granted = _minor(held, "granted_minor")
    came, back = _minor(held, "received_minor"), _minor(held, "returned_minor")
    if granted < accepted:
        yield f"allotment {allotment}: {granted} sent, {accepted} were accepted"
    if came > granted:
        yield f"allotment {allotment}: {granted} sent, {came} arrived"
    if held["holder"] == held["grantor"] and came - back != _net_minor(held):
        # The own region's: nothing is on its way.
        yield f"allotment {allotment}: {_net_minor(held)} sent, {came - back} are there"
    if _minor(held, "free_minor") < 0:
        yield f"allotment {allotment}: more is bound and spent than there is"


def _instalments(came: list[Json], least: Paid, most: Paid) -> Iterator[str]:
    shown: dict[str, int] = {}
    for each in came:
        reference = text(each, "bank_reference")
        shown[reference] = shown.get(reference, 0) + _minor(each, "received_minor")
    for reference, amount in shown.items():
        if amount != most.instalments.get(reference):
            yield f"instalment {reference}: {amount}, not {most.instalments.get(reference, 0)}"
    for reference in least.instalments.keys() - shown.keys():
        yield f"instalment {reference} was accepted, and is not there"


def _net_minor(held: Json) -> int:
    return _minor(held, "granted_minor") - _minor(held, "granted_back_minor")


def _minor(row: Json, name: str) -> int:
    """What is not told counts as nothing: then the sums are told not to fit."""
    return int(str(row.get(name) or 0))
