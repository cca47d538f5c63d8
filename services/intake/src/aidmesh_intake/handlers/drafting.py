"""What was asked for, checked against the catalogue, whether typed in or imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from aidmesh_contracts.days import day_of
from aidmesh_intake.domain.asks import AskError, ask_of
from aidmesh_intake.domain.dates import first_day, last_day, planned_as, planned_day
from aidmesh_intake.domain.drafts import NeedDraft
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.persons import Payee


@dataclass(frozen=True, slots=True)
class Wanted:
    """One need in the caller's words.

    Attributes:
        exposed_at: since when the hours of a kind such as PEP run. Only until when that is will
            be kept.
    """

    kind: str
    quantity: int = 1
    needed_by: date | None = None
    exposed_at: datetime | None = None
    planned_on: date | None = None
    place_area: str | None = None
    site_id: UUID | None = None
    from_on: date | None = None
    to_on: date | None = None
    amount_minor: int | None = None
    features: tuple[str, ...] = ()
    payee: Payee | None = None
    headcount: int | None = None
    given: bool = False
    served_on: date | None = None


def draft_need(
    need_id: UUID,
    wanted: Wanted,
    kinds: Mapping[str, Kind],
    for_whom: ForWhom,
    home_area: str | None,
    now: datetime,
    asked_on: date,
    *,
    imported: bool = False,
) -> NeedDraft:
    """Check one need.

    Args:
        home_area: where the person stays; where the need is served unless it says otherwise.
        imported: it is planned for the day it was asked on, not for today.

    Raises:
        AskError: names the field and the rule that it breaks.
    """
    today = day_of(now)
    kind = kinds.get(wanted.kind)
    if kind is None:
        raise AskError("kind", "unknown")
    _check_whom(kind, wanted, for_whom)
    area = wanted.place_area or home_area
    if area is None:
        raise AskError("place_area", "missing")
    served_on = _served_on(kind, wanted, today)
    imported_on = asked_on if imported else None
    written = (wanted.planned_on, wanted.needed_by, imported_on, today)
    planned_on = served_on or planned_day(*written)
    needed_by, needed_until = _needed(kind, wanted, asked_on, now)
    ask = ask_of(
        kind,
        wanted.quantity,
        planned_on,
        first_on=served_on or first_day(wanted.planned_on, imported_on, today),
        from_on=wanted.from_on,
        to_on=wanted.to_on,
        needed_by=None if served_on else needed_by,  # a fact is never refused
        today=today,
        amount_minor=wanted.amount_minor,
        features=wanted.features,
        given=served_on is not None,
    )
    if wanted.payee is not None and (ask.money is None or ask.money.by != "payout"):
        raise AskError("payee", "not_of_this_kind")
    return NeedDraft(
        id=need_id,
        kind=kind,
        quantity=wanted.quantity,
        ask=ask,
        planned_on=planned_on,
        needed_by=needed_by,
        place_area=area,
        site_id=wanted.site_id,
        payee=wanted.payee,
        headcount=wanted.headcount,
        given_on=served_on,
        needed_until=needed_until,
        planned_as=planned_as(*written),
    )


def _needed(
    kind: Kind, wanted: Wanted, asked_on: date, now: datetime
) -> tuple[date | None, datetime | None]:
    """The need's own last day and, where hours count and run, the instant in which it ends.

    The day is as it was given, and never later than the hours run.
    """
    if wanted.exposed_at is None:
        if kind.within_hours is None or wanted.needed_by is not None:
            return wanted.needed_by, None
        last = last_day(kind.within_hours, asked_on)
        # Entered when it was over: whether it was served in time is for a person to say.
        return (last if last >= day_of(now) else None), None
    if kind.within_hours is None:
        raise AskError("exposed_at", "not_of_this_kind")
    if wanted.exposed_at > now:
        raise AskError("exposed_at", "in_the_future")
    until = wanted.exposed_at + timedelta(hours=kind.within_hours)
    if until <= now and not wanted.given:
        raise AskError("exposed_at", "too_late")
    last = day_of(until)
    return min(last, wanted.needed_by or last), until


def _check_whom(kind: Kind, wanted: Wanted, for_whom: ForWhom) -> None:
    if for_whom not in kind.for_whom:
        raise AskError("for_whom", "not_of_this_kind")
    if (for_whom is ForWhom.GROUP) != (wanted.headcount is not None):
        raise AskError("headcount", "goes_with_groups")
    if wanted.headcount is not None and not (kind.headcount and 0 < wanted.headcount <= 100_000):
        raise AskError("headcount", "not_of_this_kind")


def _served_on(kind: Kind, wanted: Wanted, today: date) -> date | None:
    if not wanted.given:
        if wanted.served_on is not None:
            raise AskError("served_on", "only_for_given_aid")
        if not kind.active:
            raise AskError("kind", "no_longer_offered")
        return None
    served_on = wanted.served_on or today
    if served_on > today:
        raise AskError("served_on", "in_the_future")
    return served_on
