"""Moving free money of a budget line from one holder to another: a proposal, four people at most.

At the grantor (`Proposal`):

    proposed → returned → moved
    declined, lapsed (the holder says so), withdrawn (before it came back), kept (after)

At the holder (`Ask`):

    asked → prepared → returned
    declined, lapsed, withdrawn

The holder decides, by its clock: one of its finance people prepares the return, another person
consents to it, and with that the money is on its way back, whatever the grantor has said
meanwhile. The grantor books it; what a second person there has signed goes on to the other
holder, once. What comes back although the proposal was withdrawn is booked and stays in the grant.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from aidmesh_contracts.ids import (
    AllotmentId,
    GrantId,
    RebalancingId,
    TransferId,
    derive_id,
)

ProposalState = Literal["proposed", "declined", "lapsed", "withdrawn", "returned", "moved", "kept"]
AskState = Literal["asked", "prepared", "returned", "declined", "lapsed", "withdrawn"]
Answer = Literal["prepared", "declined", "lapsed"]

OPEN: frozenset[AskState] = frozenset({"asked", "prepared"})
"""States of an ask in which the holder may still decide."""


class RebalancingRefusal(StrEnum):
    """Why a step is refused."""

    WRONG_STATE = "wrong-state"
    SECOND_PERSON = "second-person-needed"
    NOT_HELD = "more-than-held"
    NOT_PROPOSED = "more-than-proposed"
    NOT_FREE = "return-above-free"
    SAME_HOLDER = "same-holder"
    LAPSED = "proposal-lapsed"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal at its grantor.

    Attributes:
        amount_minor: at most so much is to move, in the currency of spending.
        lapses_at: until when the holder may consent.
        proposer: None where a rule made it.
        signer: the second person who lets it go on to the other holder.
        answer_version: the highest that was heard of the holder's answers.
        prepared_minor: what somebody there wants to give back; a second person has to consent.
        returned_minor: what came back; None until it did.
        credited_minor: what that is worth, in the grant's currency.
        hindrance: why it could not be passed on, a problem's slug; a person tries again.
        version: counts its states.
    """

    id: RebalancingId
    grant_id: GrantId
    allotment_id: AllotmentId
    holder: str
    to_region: str
    amount_minor: int
    currency: str
    reason: str
    lapses_at: datetime
    proposer: UUID | None = None
    signer: UUID | None = None
    state: ProposalState = "proposed"
    answer_version: int = 0
    prepared_minor: int | None = None
    answer_reason: str | None = None
    returned_minor: int | None = None
    credited_minor: int | None = None
    hindrance: str | None = None
    version: int = 1

    def __post_init__(self) -> None:
        """Two people, and nothing goes on that did not come back."""
        assert self.signer is None or self.signer != self.proposer
        assert self.state not in ("returned", "moved", "kept") or self.returned_minor is not None
        assert self.state != "moved" or self.signer is not None


@dataclass(frozen=True, slots=True)
class Ask:
    """What a grantor proposes to a holder, at that holder.

    Attributes:
        prepared_minor: what somebody wants to give back; all or a part of what was proposed.
        preparer, decider: None of what went back before a restore; nobody else was told who.
        version: counts the answers.
    """

    id: RebalancingId
    grant_id: GrantId
    allotment_id: AllotmentId
    grantor: str
    to_region: str
    amount_minor: int
    currency: str
    reason: str
    lapses_at: datetime
    state: AskState = "asked"
    prepared_minor: int | None = None
    preparer: UUID | None = None
    decider: UUID | None = None
    answer_reason: str | None = None
    version: int = 0

    def __post_init__(self) -> None:
        """A second person consents."""
        people = (self.preparer, self.decider)
        by_two = None not in people and self.preparer != self.decider
        assert self.state != "returned" or (
            self.prepared_minor is not None and (by_two or people == (None, None))
        )


def return_id(rebalancing_id: RebalancingId) -> TransferId:
    """The transfer by which its money comes back: there is no second one."""
    return TransferId(derive_id("rebalancing", "return", rebalancing_id))


def sending_id(rebalancing_id: RebalancingId) -> TransferId:
    """The transfer by which its money goes on."""
    return TransferId(derive_id("rebalancing", "sending", rebalancing_id))


def allotment_id_of(rebalancing_id: RebalancingId) -> AllotmentId:
    """The allotment that the other holder gets by it."""
    return AllotmentId(derive_id("rebalancing", "allotment", rebalancing_id))


def check(
    *, holder: str, to_region: str, amount_minor: int, left_minor: int, recalled: bool
) -> RebalancingRefusal | None:
    """Refuse a proposal that cannot be carried out.

    Args:
        left_minor: of the allotment, what was sent less what came back.
        recalled: all that is free of it was asked back already.
    """
    if holder == to_region:
        return RebalancingRefusal.SAME_HOLDER
    if recalled:
        return RebalancingRefusal.WRONG_STATE
    if amount_minor > left_minor:
        return RebalancingRefusal.NOT_HELD
    return None


def sign(proposal: Proposal, by: UUID) -> Proposal | RebalancingRefusal:
    """A second person lets the money go on, before it has come back or after."""
    if proposal.state not in ("proposed", "returned") or proposal.signer is not None:
        return RebalancingRefusal.WRONG_STATE
    if by == proposal.proposer:
        return RebalancingRefusal.SECOND_PERSON
    return replace(proposal, signer=by, version=proposal.version + 1)


def withdraw(proposal: Proposal) -> Proposal | RebalancingRefusal:
    """Not wanted any more. Whoever has consented by now sends the money back all the same."""
    if proposal.state != "proposed":
        return RebalancingRefusal.WRONG_STATE
    return replace(proposal, state="withdrawn", version=proposal.version + 1)


def hear(
    proposal: Proposal,
    answer: Answer,
    version: int,
    amount_minor: int | None = None,
    reason: str | None = None,
) -> Proposal:
    """Take in what the holder says; the highest version wins. The return itself outweighs it."""
    if version <= proposal.answer_version:
        return proposal
    heard = replace(proposal, answer_version=version)
    if proposal.state != "proposed":
        return heard
    heard = replace(heard, version=heard.version + 1)
    if answer == "prepared":
        return replace(heard, prepared_minor=amount_minor)
    return replace(heard, state=answer, answer_reason=reason)


def came_back(proposal: Proposal, amount_minor: int, credited_minor: int) -> Proposal:
    """Its money is booked; only of what is still proposed it goes on."""
    assert proposal.returned_minor is None, "a transfer is booked once"
    return replace(
        proposal,
        state="returned" if proposal.state == "proposed" else proposal.state,
        returned_minor=amount_minor,
        credited_minor=credited_minor,
        version=proposal.version + 1,
    )


def is_due(proposal: Proposal) -> bool:
    """Whether its money can go on now."""
    return (
        proposal.state == "returned" and proposal.signer is not None and proposal.hindrance is None
    )


def moved(proposal: Proposal) -> Proposal:
    """Its money is on its way to the other holder."""
    assert is_due(proposal)
    return replace(proposal, state="moved", version=proposal.version + 1)


def hinder(proposal: Proposal, why: str) -> Proposal:
    """It could not be passed on; it waits for a person."""
    assert is_due(proposal)
    return replace(proposal, hindrance=why, version=proposal.version + 1)


def retry(proposal: Proposal) -> Proposal | RebalancingRefusal:
    """A person has seen to what hindered it."""
    if proposal.state != "returned" or proposal.hindrance is None:
        return RebalancingRefusal.WRONG_STATE
    return replace(proposal, hindrance=None, version=proposal.version + 1)


def keep(proposal: Proposal) -> Proposal | RebalancingRefusal:
    """What came back stays in the grant, to be allotted by hand."""
    if proposal.state != "returned":
        return RebalancingRefusal.WRONG_STATE
    return replace(proposal, state="kept", version=proposal.version + 1)


def prepare(ask: Ask, by: UUID, amount_minor: int, now: datetime) -> Ask | RebalancingRefusal:
    """Somebody of the holder's finance wants to give so much back; also another sum than before."""
    if ask.state not in OPEN:
        return RebalancingRefusal.WRONG_STATE
    if ask.lapses_at <= now:
        return RebalancingRefusal.LAPSED
    if amount_minor > ask.amount_minor:
        return RebalancingRefusal.NOT_PROPOSED
    return replace(
        ask, state="prepared", prepared_minor=amount_minor, preparer=by, version=ask.version + 1
    )


def consent(ask: Ask, by: UUID, now: datetime) -> Ask | RebalancingRefusal:
    """A second person lets it go back. From now on it has, whatever the grantor said meanwhile."""
    if ask.state != "prepared":
        return RebalancingRefusal.WRONG_STATE
    if ask.lapses_at <= now:
        return RebalancingRefusal.LAPSED
    if by == ask.preparer:
        return RebalancingRefusal.SECOND_PERSON
    return replace(ask, state="returned", decider=by)


def decline(ask: Ask, by: UUID, reason: str) -> Ask | RebalancingRefusal:
    """The money is needed here."""
    if ask.state not in OPEN:
        return RebalancingRefusal.WRONG_STATE
    return replace(ask, state="declined", decider=by, answer_reason=reason, version=ask.version + 1)


def lapse(ask: Ask, now: datetime) -> Ask:
    """Nobody consented in time."""
    if ask.state not in OPEN or ask.lapses_at > now:
        return ask
    return replace(ask, state="lapsed", version=ask.version + 1)


def went_back(ask: Ask, amount_minor: int) -> Ask:
    """Its transfer is in the books while it is open: it was consented to before a restore.

    Args:
        amount_minor: of the transfer.
    """
    if ask.state not in OPEN:
        return ask
    return replace(ask, state="returned", prepared_minor=amount_minor, preparer=None, decider=None)


def hear_state(ask: Ask, state: ProposalState) -> Ask:
    """The grantor withdrew it: nothing is decided any more; what was, stays."""
    if state != "withdrawn" or ask.state not in OPEN:
        return ask
    return replace(ask, state="withdrawn")
