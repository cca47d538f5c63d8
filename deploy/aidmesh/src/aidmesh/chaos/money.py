"""The book against the mesh, to the cent. Pure."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from aidmesh.chaos.book import allotted_minor, spent_minor, text
from aidmesh.chaos.compare import Known
from aidmesh.chaos.violation import Violation
from aidmesh_contracts.ids import RebalancingId
from aidmesh_payments.domain.rebalancing import allotment_id_of

PROMISE = "allotments and ledgers are conserved to the cent"


def money_is_conserved(known: Known) -> Iterator[Violation]:
    """What was received, allotted, returned, recalled and spent is what was accepted as such."""
    yield from _allotments(known)
    yield from _moves(known)
    yield from _received(known)
    spent = spent_minor(known.book.ops)
    for seen in known.world.values():
        booked = sum(each.spent_minor for each in seen.held.values())
        if booked != spent[seen.region]:
            what = f"spent {booked}, the book says {spent[seen.region]}"
            about = [op.facts["payout"] for op in known.book.accepted("settle", "settle_order")
                     if op.facts["holder"] == seen.region]  # fmt: skip
            yield Violation(PROMISE, seen.region, what, (*about, *seen.held))


def _allotments(known: Known) -> Iterator[Violation]:
    amounts = allotted_minor(known.book.ops)
    holders = {
        text(op.answer, "allotment_id"): (op.region, op.facts["to"])
        for op in known.book.accepted("allot", "serve_wait")
    }
    for allotment, (grantor, holder, moved) in _moved(known).items():
        holders[allotment] = (grantor, holder)
        # What is sent for a wait may go into an allotment that a move had made.
        amounts[allotment] += moved
    for seen in known.world.values():
        for move in seen.moved_by_rule.values():
            if move.allotment_id is not None:
                allotment = str(move.allotment_id)
                holders.setdefault(allotment, (seen.region, move.region))
                amounts[allotment] += move.amount_minor
    recalled = {op.facts["allotment"] for op in known.book.accepted("recall")}
    given_back: dict[str, int] = {}
    for op in known.book.accepted("return", "consent_move"):
        allotment = op.facts["allotment"]
        given_back[allotment] = given_back.get(allotment, 0) + int(op.facts["amount_minor"])
    for allotment, (grantor, holder) in holders.items():
        sent = known.world[grantor].sent.get(allotment)
        held = known.world[holder].held.get(allotment)
        if sent is None or held is None:
            where = grantor if sent is None else holder
            yield Violation(
                "accepted is present", where, f"allotment {allotment} is not there", (allotment,)
            )
            continue
        odd = []
        if not sent.amount_minor == held.received_minor == amounts[allotment]:
            odd.append(f"sent {sent.amount_minor}, received {held.received_minor}, "
                       f"the book says {amounts[allotment]}")  # fmt: skip
        if sent.returned_minor != held.returned_minor:
            odd.append(f"returned {held.returned_minor}, came back {sent.returned_minor}")
        back = given_back.get(allotment, 0)
        if held.returned_minor < back or (held.returned_minor > back and allotment not in recalled):
            odd.append(f"returned {held.returned_minor}, the book says {back}")
        if held.bound_minor + held.spent_minor > held.received_minor - held.returned_minor:
            odd.append("more is bound and spent than there was")
        if allotment in recalled:
            free = held.received_minor - held.returned_minor - held.bound_minor - held.spent_minor
            if not sent.recalled or held.status == "active" or free:
                odd.append(f"was recalled, is {held.status} and has {free} free")
        yield from (
            Violation(PROMISE, holder, f"allotment {allotment}: {what}", (allotment,))
            for what in odd
        )
    for seen in known.world.values():
        for allotment in seen.held.keys() - holders.keys():
            yield Violation(
                PROMISE, seen.region, f"nobody made allotment {allotment}", (allotment,)
            )


def _consented(known: Known) -> dict[str, int]:
    """What holders sent back for proposals, in minor units."""
    return {
        op.facts["proposal"]: int(op.facts["amount_minor"])
        for op in known.book.accepted("consent_move")
    }


class _Proposed(NamedTuple):
    """A proposal to move money, by a person or a rule, and its grantor."""

    grantor: str
    proposal: str
    allotment: str
    to: str


def _proposed(known: Known) -> Iterator[_Proposed]:
    for op in known.book.accepted("propose_move"):
        proposal = text(op.answer, "rebalancing_id")
        yield _Proposed(op.region, proposal, op.facts["allotment"], op.facts["to"])
    for seen in known.world.values():
        for move in seen.moved_by_rule.values():
            found = seen.proposals.get(str(move.proposal))
            if found is not None:
                yield _Proposed(
                    seen.region, str(move.proposal), str(found.allotment_id), found.to_region
                )


def _moved(known: Known) -> dict[str, tuple[str, str, int]]:
    """Allotments that proposals made: grantor, holder and amount."""
    signed = {op.facts["proposal"] for op in known.book.accepted("sign_move")}
    withdrawn = {op.facts["proposal"] for op in known.book.accepted("withdraw_move")}
    consented = _consented(known)
    found = {}
    for each in _proposed(known):
        if each.proposal in consented and each.proposal in signed - withdrawn:
            allotment = str(allotment_id_of(RebalancingId(UUID(each.proposal))))
            found[allotment] = (each.grantor, each.to, consented[each.proposal])
    return found


def _moves(known: Known) -> Iterator[Violation]:
    """Each proposal is where what was said of it at both ends leads, and somebody made it."""
    consented = _consented(known)
    signed, withdrawn, declined = (
        {op.facts["proposal"] for op in known.book.accepted(what)}
        for what in ("sign_move", "withdraw_move", "decline_move")
    )
    made = set()
    for each in _proposed(known):
        made.add(each.proposal)
        seen = known.world[each.grantor].proposals.get(each.proposal)
        if seen is None:
            continue  # told as what was accepted and is not there
        if each.proposal in withdrawn:
            wanted = "withdrawn"
        elif each.proposal in consented:
            wanted = "moved" if each.proposal in signed else "returned"
        else:
            wanted = "declined" if each.proposal in declined else "proposed"
        back = consented.get(each.proposal)
        if (seen.state, seen.returned_minor) != (wanted, back):
            what = f"proposal {each.proposal} is {seen}, the book says {wanted}, {back} came back"
            yield Violation(PROMISE, each.grantor, what, (each.proposal, each.allotment))
    for region in known.world.values():
        for proposal in region.proposals.keys() - made:
            yield Violation(PROMISE, region.region, f"nobody made proposal {proposal}", (proposal,))


def _received(known: Known) -> Iterator[Violation]:
    wanted: dict[str, int] = {}
    for op in known.book.accepted("instalment"):
        wanted[op.region] = wanted.get(op.region, 0) + int(op.facts["amount_minor"])
    for seen in known.world.values():
        came = sum(seen.instalments.values())
        if came != wanted.get(seen.region, 0):
            what = f"{came} were received, the book says {wanted.get(seen.region, 0)}"
            about = [
                op.facts["grant"]
                for op in known.book.accepted("instalment")
                if op.region == seen.region
            ]
            yield Violation(PROMISE, seen.region, what, tuple(dict.fromkeys((*about, *seen.sent))))
