"""Events of intake about needs and people: all of it stays home."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    HouseholdId,
    NeedId,
    PayeeRef,
    PersonId,
    RequestId,
    SiteId,
)
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import (
    Area,
    BlockedBy,
    CapacityDemand,
    Code,
    GrantShare,
    MoneyDemand,
    StockDemand,
    Visit,
)


class NeedApprovedV1(Event, type="intake.need.approved.v1", stream=Stream.LOCAL, key="need_id"):
    """A need may be served: whoever owes it something holds it now, or refuses.

    Attributes:
        attempt_no: counts from 1; messages of older attempts are ignored.
        priority: larger is served first.
        queue_no: grows with every need that is recorded; orders those asked for on one day.
            0 before there were such numbers.
        planned_on: the day that grant periods and lot expiry go by until it is served: the one it
            was planned for, or that of the attempt, if the planned one went by while it waited.
        place_area: where it is to be served; `site_id` narrows it to one site.
        to_site_id: the site that the goods are for; any site of the region may give them.
        hold_s: how long a hold may last unconfirmed, in seconds.
        sensitive: only some roles may see that this person has this need; where nobody said,
            it is taken to be.
        collect_days: for how many days goods are kept for whoever was told; None where nobody said.
    """

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    request_id: RequestId
    kind: Code
    programme: Code
    priority: int
    asked_on: date
    queue_no: int = 0
    planned_on: date
    place_area: Area
    stay_area: Area | None = None
    origin_area: Area | None = None
    site_id: SiteId | None = None
    to_site_id: SiteId | None = None
    stock: tuple[StockDemand, ...] = ()
    capacity: CapacityDemand | None = None
    money: MoneyDemand | None = None
    payee_ref: PayeeRef | None = None
    hold_s: int = Field(gt=0)
    sensitive: bool = True
    collect_days: int | None = Field(default=None, gt=0)


class NeedConfirmedV1(Event, type="intake.need.confirmed.v1", stream=Stream.LOCAL, key="need_id"):
    """Every hold of this attempt said yes. `with_money` says whether payments commits first."""

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    with_money: bool
    with_supply: bool


class NeedWithdrawnV1(Event, type="intake.need.withdrawn.v1", stream=Stream.LOCAL, key="need_id"):
    """Attempts up to this one are over: whatever is held for them is released.

    It may overtake the approval it ends, so receivers keep a tombstone.
    """

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    reason: Literal["refused", "hold_expired", "not_collected", "cancelled", "expired", "declined"]


class NeedReadyV1(Event, type="intake.need.ready.v1", stream=Stream.LOCAL, key="need_id"):
    """Everything is confirmed: the person may be told.

    Attributes:
        collect_days: for how many days goods and cash are kept for somebody who was told.
        visit: of a bed or a slot: when to come, whatever the days are.
        until_at: the instant after which it is of no use, where the need itself has one: the end of
            a day. Events from before `NeedReadyUntilV1` may name an hour.
        to_come: whether the person has to come for it; not where all of it is sent to them, by
            bank, card or post. None where that is not known: then they are told to.
        in_person: what a message of this attempt said, or would say, is not true any more: a
            person tells them, and nothing is sent.
    """

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    kind: Code
    sensitive: bool
    person_id: PersonId | None = None
    site_id: SiteId | None = None
    collect_days: int = Field(gt=0)
    visit: Visit | None = None
    until_at: AwareDatetime | None = None
    to_come: bool | None = None
    in_person: bool = False


class NeedReadyUntilV1(
    NeedReadyV1, type="intake.need.ready_until.v1", stream=Stream.PRIVATE, key="person_id"
):
    """The same, said instead of it where hours count: until when tells since when they do.

    So it is kept no longer than sealed data, and goes with whoever is erased.
    """

    person_id: PersonId
    until_at: AwareDatetime


class NeedToldV1(Event, type="intake.need.told.v1", stream=Stream.LOCAL, key="need_id"):
    """The person knows: the pick-up clock starts at `told_at`."""

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    told_at: AwareDatetime
    how: Literal["message", "in_person"]
    collect_days: int = Field(gt=0)


class NeedWaitlistedV1(Event, type="intake.need.waitlisted.v1", stream=Stream.LOCAL, key="need_id"):
    """The need waits for `blocked_by`; it keeps its place by priority and `asked_on`.

    Attributes:
        version: of the need; of all that is said of its waiting the highest holds, in any order.
            0 before there were such numbers.
    """

    need_id: NeedId
    version: int = Field(default=0, ge=0)
    attempt_no: int = Field(ge=0)
    kind: Code
    area: Area
    asked_on: date
    blocked_by: BlockedBy
    sensitive: bool = True


class NeedUnlistedV1(Event, type="intake.need.unlisted.v1", stream=Stream.LOCAL, key="need_id"):
    """The need waits no longer: it is being asked for, was served, or is over.

    Attributes:
        version: of the need, as in `NeedWaitlistedV1`.
    """

    need_id: NeedId
    version: int = Field(gt=0)


class WaitingChangedV1(
    Event, type="intake.waiting.changed.v1", stream=Stream.LOCAL, key="waiting_key"
):
    """How many needs wait for the same because there is too little of it: nothing of single ones.

    The highest version holds; zero needs when nobody waits for it any more.

    Attributes:
        resource, code, site_id, area: what is waited for, and where it has to be, as in
            `BlockedBy`.
        sensitive: of needs that only some roles may see.
        quantity: pieces, places or minor units that they want together.
        chosen: of needs that somebody chose to be served from elsewhere by rule.
    """

    waiting_key: str
    resource: Literal["stock", "bed", "slot", "money"]
    code: str
    site_id: SiteId | None = None
    area: Area | None = None
    sensitive: bool
    needs: int = Field(ge=0)
    quantity: int = Field(ge=0)
    version: int = Field(gt=0)
    as_of: AwareDatetime
    chosen: bool = False


class NeedFulfilledV1(Event, type="intake.need.fulfilled.v1", stream=Stream.LOCAL, key="need_id"):
    """One service was given.

    Attributes:
        service_no: counts how often this need was fulfilled (undone and done again); with
            `need_id` it names the service.
        attempt_no, issue_no: of the issue or payment that it tells of (0, 0 where there was
            none); None before services said so. Nobody waits any more to be told of it.
        person_ids: the distinct beneficiaries; empty for outreach and for sites.
        headcount: contacts of outreach or a group session, shown apart from people.
        area: of the place of service; of aid that was entered after it was given as entered, unless
            inventory knows better (`AidBookedV1`).
        unit: of `quantity`: `piece`, `night`, `minute`, or a currency's minor units (`uah`).
        shares: what each grant bore; none of aid that was entered after it was given.
        sensitive: only some roles may know who had it; where nobody said, it is taken to be.
    """

    need_id: NeedId
    service_no: int = Field(gt=0)
    attempt_no: int | None = Field(default=None, ge=0)
    issue_no: int | None = Field(default=None, ge=0)
    kind: Code
    programme: Code
    person_ids: tuple[PersonId, ...]
    household_id: HouseholdId | None = None
    headcount: int | None = None
    area: Area
    site_id: SiteId | None = None
    asked_on: date
    served_on: date
    quantity: int
    unit: Code
    shares: tuple[GrantShare, ...] = ()
    sensitive: bool = True


class NeedReversedV1(Event, type="intake.need.reversed.v1", stream=Stream.LOCAL, key="need_id"):
    """The service `service_no` of this need did not happen after all, for a reason."""

    need_id: NeedId
    service_no: int = Field(gt=0)
    reason: Code


class NeedClosedV1(Event, type="intake.need.closed.v1", stream=Stream.LOCAL, key="need_id"):
    """The need ended without a service, and with it its attempts up to this one, if any."""

    need_id: NeedId
    attempt_no: int | None = Field(default=None, gt=0)
    state: Literal["declined", "cancelled", "expired", "referred"]
    reason: Code


class AidGivenV1(Event, type="intake.aid.given.v1", stream=Stream.LOCAL, key="need_id"):
    """Aid was given before it was entered. A fact: it is booked even if the books lack it.

    Attributes:
        to_site_id: the site that the goods were for.
        entered_by: the member of staff who says so, whatever they are called; somebody else looks
            at cash that was given. None where that is not known.
    """

    need_id: NeedId
    kind: Code
    programme: Code
    served_on: date
    place_area: Area
    stay_area: Area | None = None
    origin_area: Area | None = None
    site_id: SiteId | None = None
    to_site_id: SiteId | None = None
    stock: tuple[StockDemand, ...] = ()
    capacity: CapacityDemand | None = None
    money: MoneyDemand | None = None
    sensitive: bool = True
    entered_by: UUID | None = None


class PersonMergedV1(Event, type="intake.person.merged.v1", stream=Stream.LOCAL, key="person_id"):
    """Two records are one person: results count `into_person_id` from now on.

    Attributes:
        merge_no: counts the merges of this pair, each of which may be taken back once.
    """

    person_id: PersonId
    into_person_id: PersonId
    merge_no: int = Field(default=1, gt=0)


class PersonUnmergedV1(
    Event, type="intake.person.unmerged.v1", stream=Stream.LOCAL, key="person_id"
):
    """A merge was taken back: results count both records again. It may overtake the merge."""

    person_id: PersonId
    into_person_id: PersonId
    merge_no: int = Field(gt=0)


class PersonErasedV1(Event, type="intake.person.erased.v1", stream=Stream.LOCAL, key="person_id"):
    """The person's key is gone; every holder of sealed data about them deletes its own."""

    person_id: PersonId


class PayeeErasedV1(Event, type="intake.payee.erased.v1", stream=Stream.LOCAL, key="need_id"):
    """Whoever was to be paid for this need was erased: sealed details go unless money was paid.

    It names no person, and may overtake the details it speaks of, so receivers keep a tombstone.
    """

    need_id: NeedId
    payee_ref: PayeeRef | None = None


class ContactSealedV1(
    Event, type="intake.contact.sealed.v1", stream=Stream.PRIVATE, key="person_id"
):
    """A contact card for notification, as a sealed box that only notification opens.

    Attributes:
        version: counts the cards of this person; the highest wins.
        sealed: base64 of the sealed box.
    """

    person_id: PersonId
    version: int = Field(gt=0)
    sealed: str


class PayeeSealedV1(Event, type="intake.payee.sealed.v1", stream=Stream.PRIVATE, key="payee_ref"):
    """Payee details, as a sealed box that only the paying office opens.

    Corrected details come under a new reference.

    Attributes:
        version: 0 as registered; of a need's corrections the highest wins, in any order.
        replaces: what these details stand for now.
        sealed_by: who entered or corrected them; the payment is approved by somebody else.
        mechanism: how the money goes; cash waits to be fetched, and its clock needs to know.
        sealed: base64 of the sealed box.
    """

    payee_ref: PayeeRef
    need_id: NeedId
    mechanism: Literal["iban", "card", "post", "cash"] | None = None
    sealed: str
    version: int = Field(default=0, ge=0)
    replaces: PayeeRef | None = None
    sealed_by: UUID | None = None


class KeyChangedV1(Event, type="intake.key.changed.v1", stream=Stream.EVENTS, key="purpose"):
    """A public key of this service, for those of other regions; the highest version wins.

    Attributes:
        purpose: `seal`: what referrals are sealed to (X25519).
        public: base64 of the 32 bytes.
    """

    purpose: Literal["seal"]
    public: str
    version: int = Field(gt=0)


class HandoffTakenV1(
    Event, type="intake.handoff.taken.v1", stream=Stream.HANDOFF, key="handoff_id"
):
    """The answer to a handoff: it is in the inbox of the region that it was for."""

    handoff_id: UUID


EVENTS: tuple[type[Event], ...] = (
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedWithdrawnV1,
    NeedReadyV1,
    NeedReadyUntilV1,
    NeedToldV1,
    NeedWaitlistedV1,
    NeedUnlistedV1,
    WaitingChangedV1,
    NeedFulfilledV1,
    NeedReversedV1,
    NeedClosedV1,
    AidGivenV1,
    PersonMergedV1,
    PersonUnmergedV1,
    PersonErasedV1,
    PayeeErasedV1,
    ContactSealedV1,
    PayeeSealedV1,
    KeyChangedV1,
    HandoffTakenV1,
)
