"""When a need is served, when its appointment was kept, and when that is taken back."""

from datetime import date, datetime

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.intake import NeedFulfilledV1, NeedReversedV1
from aidmesh_contracts.values import Area, GrantShare
from aidmesh_intake.domain.need import Attended, Leg, Need, State
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.steps import TOLD_TO_COME, told, withdrawal


def fulfil(
    need: Need,
    *,
    area: Area,
    site_id: SiteId | None,
    served_on: date,
    quantity: int,
    unit: str,
    shares: tuple[GrantShare, ...] = (),
    issued: tuple[int, int] = (0, 0),
) -> tuple[Need, Event]:
    """Record one service."""
    served = replace(
        _taken(need, issued, site_id),
        state=State.FULFILLED,
        service_no=need.service_no + 1,
        served_on=served_on,
    )
    return served, NeedFulfilledV1(
        need_id=need.id,
        service_no=served.service_no,
        attempt_no=issued[0],
        issue_no=issued[1],
        kind=need.kind,
        programme=need.programme,
        person_ids=need.beneficiaries,
        household_id=need.household_id,
        headcount=need.headcount,
        area=area,
        site_id=site_id,
        asked_on=need.asked_on,
        served_on=served_on,
        quantity=quantity,
        unit=unit,
        shares=shares,
        sensitive=need.sensitive,
    )


def _taken(need: Need, issued: tuple[int, int], site_id: SiteId | None) -> Need:
    """The need once what was set aside for it was taken: it waits for nothing any more."""
    if issued[0] != need.attempt_no:
        # An older attempt's goods went out: nothing of the running one is wanted any more.
        need = replace(need, supply=Leg.NONE, money=Leg.NONE)
    firm = Leg.FIRM if need.supply is not Leg.NONE else Leg.NONE
    paid = Leg.FIRM if need.money is not Leg.NONE else Leg.NONE
    return replace(
        need,
        supply=firm,  # what was handed over had been confirmed, whatever we heard of it
        money=paid,
        deadline_at=None,
        blocked_by=None,
        wait=None,
        also_lacks=None,
        decided_at=None,
        waiting_since=None,
        retry_at=None,
        woken=False,
        at_site_id=site_id,
        issued=issued,
        reason=None,
        attention=None if need.attention == TOLD_TO_COME else need.attention,
    )


def attend(
    need: Need, attended: Attended, issued: tuple[int, int], now: datetime
) -> tuple[Need, tuple[Event, ...]]:
    """Note that an appointment was kept; whoever was there knows, so no message goes out."""
    here = replace(_taken(need, issued, attended.site_id), state=State.READY, attended=attended)
    if here.told_at is not None:
        return here, ()
    return told(here, now, "in_person")


def not_attended(
    need: Need, undone: tuple[int, int], reason: str
) -> tuple[Need, tuple[Event, ...]]:
    """Take back that an appointment was kept."""
    back = replace(need, attended=None, undone=undone, reason=reason)
    if need.supply is not Leg.NONE:
        return back, ()  # the place is set aside for it again
    return replace(back, state=State.REQUESTED), (withdrawal(need, "cancelled"),)


def reverse(need: Need, reason: str) -> tuple[Need, tuple[Event, ...]]:
    """Undo the service in force.

    What it took is set aside for the need again. Only if the attempt had been ended before the
    news of the service came, nothing of it may stay: a person decides how it goes on.
    """
    assert need.state is State.FULFILLED
    undone = replace(
        need,
        state=State.READY,
        undone=need.issued,
        attended=None,
        served_on=None,
        reason=reason,
    )
    reversal = NeedReversedV1(need_id=need.id, service_no=need.service_no, reason=reason)
    owes = need.ask.of_supply or need.ask.of_money
    if not owes or need.supply is not Leg.NONE or need.money is not Leg.NONE:
        return undone, (reversal,)
    return replace(undone, state=State.REQUESTED), (reversal, withdrawal(need, "cancelled"))


def undoes(need: Need, issue: tuple[int, int]) -> bool:
    """Whether it is the service in force, or a later one of the same attempt, that was undone."""
    return issue[0] == need.issued[0] and issue >= need.issued


def undo_issue(need: Need, issue: tuple[int, int], reason: str) -> tuple[Need, tuple[Event, ...]]:
    """Undo the service in force, and remember that none up to this one counts any more."""
    undone, events = reverse(need, reason)
    return replace(undone, undone=issue), events


def take_start_back(need: Need, reason: str) -> tuple[Need, Event]:
    """Undo that a start was confirmed; that the appointment was kept stays as it is."""
    assert need.state is State.FULFILLED
    assert need.attended is not None
    waiting = replace(need, state=State.READY, served_on=None, reason=reason)
    return waiting, NeedReversedV1(need_id=need.id, service_no=need.service_no, reason=reason)
