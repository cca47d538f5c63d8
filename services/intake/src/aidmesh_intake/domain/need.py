"""A need as it stands; `steps` are those between its states that every way in shares.

::

    requested → approved → held → ready → fulfilled
        ↑           ↓        ↓      ↓
        └────── waitlisted ←────────┘        declined · cancelled · expired · referred

Whoever owes a need something is a leg of it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import HouseholdId, NeedId, PayeeRef, PersonId, RequestId, SiteId
from aidmesh_contracts.values import Area, BlockedBy, CapacityDemand, GrantShare, Visit
from aidmesh_intake.domain.asks import Ask, blockers_of
from aidmesh_intake.domain.dates import PlannedAs
from aidmesh_intake.domain.kinds import ForWhom


class State(StrEnum):
    """The field's own words for where a need stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    HELD = "held"
    READY = "ready"
    FULFILLED = "fulfilled"
    WAITLISTED = "waitlisted"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFERRED = "referred"


LIVE: Final = frozenset({State.APPROVED, State.HELD, State.READY})
"""An attempt is running: something is held for the need, or asked for."""

CLOSED: Final = frozenset({State.DECLINED, State.CANCELLED, State.EXPIRED, State.REFERRED})
"""Ended without a service."""


class Leg(IntEnum):
    """How far one of those who owe a need something has come; it never goes back."""

    NONE = 0
    ASKED = 1
    HELD = 2
    FIRM = 3


class Wait(StrEnum):
    """Why a need waits."""

    SHORT = "short"
    BEHIND = "behind"
    RESTRICTED = "restricted"
    SITE_CLOSED = "closed"
    RECALLED = "recalled"
    HOLD_EXPIRED = "hold_expired"
    NOT_COLLECTED = "not_collected"
    OFFERED = "offered"


IN_LINE: Final = frozenset({Wait.SHORT, Wait.BEHIND, Wait.SITE_CLOSED})
"""Waits of those whom new needs queue behind: growth ends them, or a site that opens."""


class Lack(BaseModel):
    """Something that is lacking, and why."""

    model_config = ConfigDict(frozen=True)

    blocked_by: BlockedBy
    wait: Wait


Settlement = Literal["given_twice", "taken_back"]
"""Both services stand, or one of them was undone where it was given."""
Look = Literal["theirs", "seen_to"]
"""It is the need of whom it is written for; or somebody told the person, or did what was left.

Of no service, so nothing but the timeline keeps it.
"""


class NotAllowed(Exception):
    """A step that the need's state does not allow; `rule` is a code."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Attended(BaseModel):
    """An appointment that was kept, as inventory reported it; its service is still to begin."""

    model_config = ConfigDict(frozen=True)

    on: date
    area: Area
    site_id: SiteId | None
    quantity: int
    unit: str
    shares: tuple[GrantShare, ...] = ()


@dataclass(frozen=True)
class Need:
    """One need. The first part is fixed when it is asked for; the second is its course.

    Attributes:
        members: of the household, where it is for one.
        sent: whether what is paid is sent to whom `payee_ref` names, by bank, card or post; None
            where that is not known (yet).
        confirmed_start: it is served when its start is confirmed, not when it was attended.
        sensitive: hidden from roles that need not know.
        planned_as: how long `planned_on` stands; see `day_on`.
        needed_until: where hours count, the instant after which nothing is of use; `needed_by` is
            its day, or an earlier one.
        queue_no: grows with every need that is recorded; orders those asked for on one day.
        deadline_at: until when an attempt must have become ready, else it is asked anew.
        also_lacks: what the other of those who owe it something refused in the same attempt; the
            need does not wait for that, it is for people to see.
        decided_at: when the refusal was decided, by the clock of who refused.
        waiting_since: by intake's clock.
        retry_at: when a wait ends that no growth would end.
        woken: whether this attempt was started by growth that it may have to give back.
        to_site_id: the site that it is for, where it is for one; any site may give the goods.
        at_site_id: where it is set aside or was served.
        visit: when to come to the place that is kept for its running attempt, once it is firm.
        issued, undone: attempt and count of the last issue in force, and of the last undone.
        attended: its appointment was kept: its start is to be confirmed.
        service_no: how often it was fulfilled.
        given: aid that was entered after it was given.
        message: what became of the message: None, `sent`, why there was none, or that what it said
            is not true any more.
        pending: it was referred here, and its region has not let go of it: held, but nobody is told
            and nothing is given.
        attention: a conflict that a person should look at.
        settled: how a person settled the last one, None while it is open.
    """

    id: NeedId
    request_id: RequestId
    kind: str
    programme: str
    sensitive: bool
    for_whom: ForWhom
    person_id: PersonId | None
    household_id: HouseholdId | None
    members: tuple[PersonId, ...]
    headcount: int | None
    quantity: int
    unit: str
    asked_on: date
    queue_no: int
    planned_on: date
    needed_by: date | None
    priority: int
    rule_version: int
    place_area: Area
    stay_area: Area | None
    origin_area: Area | None
    site_id: SiteId | None
    ask: Ask
    payee_ref: PayeeRef | None
    hold_s: int
    collect_days: int
    splittable: bool
    to_site_id: SiteId | None = None
    confirmed_start: bool = False
    given: bool = False
    needed_until: datetime | None = None
    planned_as: PlannedAs = PlannedAs.COMING
    pending: bool = False
    sent: bool | None = None

    state: State = State.REQUESTED
    attempt_no: int = 0
    supply: Leg = Leg.NONE
    money: Leg = Leg.NONE
    deadline_at: datetime | None = None
    blocked_by: BlockedBy | None = None
    wait: Wait | None = None
    also_lacks: Lack | None = None
    decided_at: datetime | None = None
    waiting_since: datetime | None = None
    retry_at: datetime | None = None
    woken: bool = False
    at_site_id: SiteId | None = None
    visit: Visit | None = None
    told_at: datetime | None = None
    told_how: str | None = None
    message: str | None = None
    issued: tuple[int, int] = (0, 0)
    undone: tuple[int, int] = (0, 0)
    attended: Attended | None = None
    service_no: int = 0
    served_on: date | None = None
    reason: str | None = None
    attention: str | None = None
    settled: Settlement | None = None
    version: int = 1

    @property
    def beneficiaries(self) -> tuple[PersonId, ...]:
        """The distinct people it helps; none where only heads are counted."""
        if self.for_whom is ForWhom.PERSON and self.person_id is not None:
            return (self.person_id,)
        return self.members if self.for_whom is ForWhom.HOUSEHOLD else ()

    @property
    def blockers(self) -> tuple[BlockedBy, ...]:
        """Everything it could come to wait for."""
        area = None if self.to_site_id is not None else self.place_area
        return blockers_of(self.ask, self.programme, self.site_id, area)

    @property
    def to_come(self) -> bool | None:
        """Whether the person has to come for any of it; None where that is not known."""
        money = self.ask.money
        if self.ask.of_supply or money is None or money.by != "payout" or self.payee_ref is None:
            return True
        return None if self.sent is None else not self.sent

    @property
    def all_held(self) -> bool:
        """Whether everything that its running attempt asked for is set aside, at least."""
        owed = [leg for leg in (self.supply, self.money) if leg is not Leg.NONE]
        return self.state in LIVE and all(leg >= Leg.HELD for leg in owed)

    @property
    def last_day(self) -> date | None:
        """The need's own last day, if it has one: nothing is of use after it."""
        return min(filter(None, (self.needed_by, self.ask.last_day)), default=None)

    def day_on(self, today: date) -> date:
        """The day that its next attempt goes by: who is still to be served is not served before."""
        stands = self.planned_as is PlannedAs.WRITTEN or (
            self.planned_as is PlannedAs.ASKED and self.attempt_no == 0
        )
        return self.planned_on if stands else max(self.planned_on, today)

    def place_on(self, today: date) -> CapacityDemand | None:
        """The place that its next attempt asks for."""
        return self.ask.place_on(
            today, self.needed_by, self.needed_until, again=self.attempt_no > 0
        )


@dataclass(frozen=True)
class Decision:
    """What became of a need, what is published, and one word for its timeline.

    Attributes:
        despite: what spoke against it and was overridden by a person.
        split_off: new needs, each for a part of what it was for.
    """

    need: Need
    events: tuple[Event, ...] = ()
    note: str = ""
    despite: str | None = None
    split_off: tuple[Need, ...] = ()
