"""What happened to a need, whatever was planned: it was served, paid, undone, or told of.

Facts come in any order and any number of times, and are never refused: what does not fit is for a
person to look at.
"""

from datetime import date, datetime

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.notification import MessageSentV1, MessageSuppressedV1
from aidmesh_contracts.payments import CommitmentSpentV1
from aidmesh_contracts.values import Area, GrantShare
from aidmesh_intake.domain.need import LIVE, Attended, Decision, Leg, Need, State
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.serving import attend, fulfil, not_attended, reverse, undo_issue, undoes
from aidmesh_intake.domain.steps import (
    OVERTAKEN,
    PERSON_ERASED,
    TOLD_TO_COME,
    moved,
    told,
    withdrawal,
)


def paid(need: Need, answer: CommitmentSpentV1, now: datetime) -> Decision:
    """Money was paid out: a service, where the money is what was asked for."""
    if not answer.fulfils:
        return Decision(need)
    share = GrantShare(
        grant_id=answer.grant_id, amount_minor=answer.amount_minor, currency=answer.currency
    )
    return served(
        need,
        (answer.attempt_no, answer.spend_no),
        now,
        area=need.place_area,
        site_id=need.site_id,
        served_on=answer.spent_on,
        quantity=answer.amount_minor,
        unit=answer.currency.lower(),
        # Which grant bears what was unfunded is told when it is known.
        shares=() if answer.unfunded else (share,),
        is_bound=not answer.unfunded,
    )


def served(
    need: Need,
    issue: tuple[int, int],
    now: datetime,
    *,
    area: Area,
    site_id: SiteId | None,
    served_on: date,
    quantity: int,
    unit: str,
    shares: tuple[GrantShare, ...],
    is_bound: bool = True,
) -> Decision:
    """Goods, a bed, a slot or money were handed over.

    Args:
        issue: the attempt, and which issue or payment of it, counted from 1.
        is_bound: whether what was given is what the attempt holds.
    """
    attempt_no, _ = issue
    if not 0 < attempt_no <= need.attempt_no or issue in (need.issued, need.undone):
        return Decision(need)
    if issue < max(need.issued, need.undone):
        if attempt_no == max(need.issued, need.undone)[0]:
            return Decision(need)  # the same hold was issued again since
        # An attempt thought to be over went out as well: two services for one need.
        return _flagged(need, "served_by_two_attempts")
    if need.state is State.REFERRED:
        # Another region serves it, so here it is no service: a person has to look.
        return _flagged(need, "served_by_two_attempts")
    events: list[Event] = []
    subject = need
    if need.state is State.FULFILLED:
        if need.issued[0] != attempt_no:
            return _flagged(need, "served_by_two_attempts")
        if need.confirmed_start:
            return moved(need, replace(need, issued=issue), "attended")
        subject, reversal = reverse(need, "issued_again")
        events.extend(reversal)
    elif need.state in LIVE and not (need.attempt_no == attempt_no and is_bound):
        events.append(withdrawal(need, "cancelled"))
    if not is_bound:
        # Its money had been let go; the news of that may come later, and changes nothing then.
        subject = replace(subject, supply=Leg.NONE, money=Leg.NONE)
    if need.confirmed_start:
        kept = Attended(
            on=served_on, area=area, site_id=site_id, quantity=quantity, unit=unit, shares=shares
        )
        waiting, news = attend(subject, kept, issue, now)
        return moved(need, waiting, "attended", *events, *news)
    served, event = fulfil(
        subject,
        area=area,
        site_id=site_id,
        served_on=served_on,
        quantity=quantity,
        unit=unit,
        shares=shares,
        issued=issue,
    )
    return moved(need, served, "fulfilled", *events, event)


def _flagged(need: Need, attention: str) -> Decision:
    if need.attention == attention:
        return Decision(need)
    return moved(need, replace(need, attention=attention, settled=None), attention)


def undone(need: Need, issue: tuple[int, int], reason: str) -> Decision:
    """An issue or a payment did not happen after all, for a reason."""
    if not 0 < issue[0] <= need.attempt_no:
        return Decision(need)
    if need.state is State.FULFILLED:
        if not undoes(need, issue):
            return Decision(need)
        undone, events = undo_issue(need, issue, reason)
        return moved(need, undone, "reversed", *events)
    if need.attended is not None and need.state is State.READY and issue >= need.issued:
        back, events = not_attended(need, issue, reason)
        return moved(need, back, "reversed", *events)
    if issue <= need.undone:
        return Decision(need)
    # It overtook the issue that it undoes: remembered, so that the issue changes nothing.
    return moved(need, replace(need, undone=issue), "issue_undone_early")


def sent(need: Need, answer: MessageSentV1) -> Decision:
    """A message left: the person knows, unless it was overtaken.

    What it told them of may be gone by now: then a person looks until they are told anew or served.
    """
    if _told_of_what_is_gone(need, answer.attempt_no):
        if need.attention is not None:
            return Decision(need)
        flagged = replace(need, attention=TOLD_TO_COME, settled=None)
        return moved(need, flagged, "told_late")
    # Nothing is sent after it failed: this was overtaken by the news that it did not arrive. What
    # said something else than holds now was of no use.
    if not _awaits_telling(need, answer.attempt_no) or need.message in {"failed", *OVERTAKEN}:
        return Decision(need)
    knows, news = told(replace(need, message="sent"), answer.sent_at, "message")
    return moved(need, knows, "told_by_message", *news)


def suppressed(need: Need, answer: MessageSuppressedV1) -> Decision:
    """A message was not sent, or came back: a person tells them."""
    if answer.reason == "failed" and need.told_how == "message":
        # It was sent, and came back: the person does not know after all.
        need_again = replace(need, told_at=None, told_how=None)
        if _awaits_telling(need_again, answer.attempt_no):
            return moved(need, replace(need_again, message="failed"), "not_delivered")
    if not _awaits_telling(need, answer.attempt_no) or need.message in {answer.reason, *OVERTAKEN}:
        return Decision(need)
    return moved(need, replace(need, message=answer.reason), "tell_in_person")


def _told_of_what_is_gone(need: Need, attempt_no: int) -> bool:
    """Whether somebody who is told of this attempt may come for nothing, and knows no better."""
    if need.told_at is not None or need.state is State.FULFILLED or need.reason == PERSON_ERASED:
        return False
    return attempt_no < need.attempt_no or need.state not in LIVE


def _awaits_telling(need: Need, attempt_no: int) -> bool:
    return need.state is State.READY and attempt_no == need.attempt_no and need.told_at is None
