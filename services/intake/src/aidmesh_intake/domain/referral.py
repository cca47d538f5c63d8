"""A need that another region is to serve: what either side does at each word of the other.

::

    source: offered → confirmed                 target: offered → taken → accepted → confirmed
               ↓ refused · lapsed · withdrawn                ↓       ↓        ↓ refused · withdrawn

The source decides: it keeps the need until it confirms, and what it confirmed it never serves.
The target holds what the need takes, and gives nothing before it is confirmed. So in whatever
order words arrive, and however often, never do both serve.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from aidmesh_chassis.privacy import REVEAL
from aidmesh_contracts.ids import ReferralId
from aidmesh_contracts.intake_referrals import (
    ReferralAcceptedV1,
    ReferralConfirmedV1,
    ReferralRefusedV1,
    ReferralWithdrawnV1,
)
from aidmesh_contracts.values import Area, Code
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import CLOSED, Decision, Need, NotAllowed, State, Wait
from aidmesh_intake.domain.persons import Consents, Details
from aidmesh_intake.domain.records import replace
from aidmesh_intake.domain.steps import (
    PARTED,
    REFERRAL_REFUSED,
    SOURCE_GONE,
    close,
    moved,
    progress,
    waitlisted,
)

OFFER_HOURS: Final = 24
OFFER_HOURS_MAX: Final = 24 * 7

Refusal = Literal["short", "declined", "ended"]
Withdrawal = Literal["lapsed", "withdrawn", "ended"]
Told = ReferralConfirmedV1 | ReferralWithdrawnV1
Answered = ReferralAcceptedV1 | ReferralRefusedV1


class Box(BaseModel):
    """What the target learns of a person and their need; it travels sealed.

    Attributes:
        referral_id: of the offer it belongs to: in another it opens nothing.
        details: without the note, which was written for the source's own staff.
        consents: to what the person agreed, and when.
        from_on, to_on: the days that it is for; `to_on` of None is as the kind has it.
        priority: what triage came to, by the rule of `rule_version`.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    referral_id: UUID
    details: Details
    languages: tuple[str, ...]
    area: Area | None
    origin_area: Area | None
    consents: Consents
    kind: Code
    quantity: int = Field(gt=0)
    features: tuple[Code, ...] = ()
    from_on: date | None
    to_on: date | None
    planned_on: date
    needed_by: date | None
    needed_until: datetime | None
    asked_on: date
    priority: int
    rule_version: int
    place_area: Area
    site_id: UUID | None

    @classmethod
    def from_bytes(cls, plain: bytes) -> Self:
        """Read what was sealed; what a newer region says besides is left out."""
        return cls.model_validate_json(plain, extra="ignore", context={"stored": True})

    def to_bytes(self) -> bytes:
        """The plain JSON, to be sealed at once."""
        # How others call them is not passed on, and a field that older regions do not know.
        return self.model_dump_json(
            exclude={"details": {"code_elsewhere"}}, context=dict(REVEAL)
        ).encode()


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever is referred, as the source knows them."""

    details: Details
    languages: tuple[str, ...]
    area: str | None
    origin_area: str | None
    consents: Consents


def box_of(
    need: Need, person: Person, referral_id: UUID, area: Area, site_id: UUID | None, today: date
) -> Box:
    """What is told of a need that another region is to serve in `area`, or at one site there."""
    place = need.place_on(today)
    return Box(
        referral_id=referral_id,
        details=person.details.model_copy(update={"note": None}),
        languages=person.languages,
        area=person.area,
        origin_area=person.origin_area,
        consents=person.consents,
        kind=need.kind,
        quantity=need.quantity,
        features=() if place is None else place.features,
        from_on=None if place is None else place.from_on,
        to_on=None if place is None or need.ask.days is not None else place.to_on,
        planned_on=max(need.planned_on, today),
        needed_by=need.needed_by,
        needed_until=need.needed_until,
        asked_on=need.asked_on,
        priority=need.priority,
        rule_version=need.rule_version,
        place_area=area,
        site_id=site_id,
    )


class Offered(StrEnum):
    """Where an offer of one's own stands."""

    OFFERED = "offered"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Offer:
    """An own need, offered to another region."""

    id: ReferralId
    need_id: UUID
    to_region: str
    lapses_at: datetime
    status: Offered = Offered.OFFERED
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class OfferStep:
    """What became of an offer and its need, and what the target is told; None for nothing."""

    offer: Offer
    need: Decision
    told: Told | None = None


def offer(
    need: Need, consents: Consents, referral_id: ReferralId, to_region: str, lapses_at: datetime
) -> OfferStep:
    """Offer a waiting need of a person to another region; it is not woken meanwhile.

    Raises:
        NotAllowed: it does not wait, is no single person's, is itself here on trial, pays out
            money, nobody has looked yet whose it is, or the person did not agree.
    """
    if need.state is not State.WAITLISTED or need.pending:
        raise NotAllowed("not_waiting")
    if need.wait is Wait.OFFERED:
        raise NotAllowed("offered_elsewhere")
    if need.for_whom is not ForWhom.PERSON or (need.ask.money and need.ask.money.by == "payout"):
        raise NotAllowed("not_of_this_kind")
    if need.attention == PARTED:
        raise NotAllowed("whose_is_open")
    if "referral" not in consents:
        raise NotAllowed("no_consent_to_referral")
    waits = replace(need, wait=Wait.OFFERED, retry_at=None)
    return OfferStep(
        Offer(referral_id, need.id, to_region, lapses_at), moved(need, waits, "referral_offered")
    )


def answered(
    offer: Offer, need: Need, answer: Answered, now: datetime, by_clock: datetime | None = None
) -> OfferStep:
    """Take in what the target said.

    Args:
        by_clock: what offers lapse by: earlier than now by downtime that was not looked at yet;
            None where there was none.
    """
    if isinstance(answer, ReferralRefusedV1):
        if offer.status is Offered.CONFIRMED:
            # It ended there before it heard that it is theirs: a person has to look.
            if offer.reason is not None:
                return OfferStep(offer, Decision(need))
            flagged = replace(need, attention=REFERRAL_REFUSED, settled=None)
            return OfferStep(
                replace(offer, reason=answer.reason), moved(need, flagged, "referral_refused")
            )
        if offer.status is not Offered.OFFERED:
            return OfferStep(offer, Decision(need))
        refused = replace(offer, status=Offered.REFUSED, reason=answer.reason)
        return OfferStep(refused, _back(need, now, "referral_refused"))
    if offer.status is Offered.CONFIRMED:
        return OfferStep(offer, Decision(need), ReferralConfirmedV1(referral_id=offer.id))
    if offer.status is not Offered.OFFERED or need.wait is not Wait.OFFERED:
        return OfferStep(offer, Decision(need), _withdrawn(offer, "ended"))
    if offer.lapses_at <= (by_clock or now):
        return withdraw(offer, need, "lapsed", now)
    referred, closed = close(need, State.REFERRED, "referred")
    return OfferStep(
        replace(offer, status=Offered.CONFIRMED),
        moved(need, referred, "referred", closed),
        ReferralConfirmedV1(referral_id=offer.id),
    )


def withdraw(offer: Offer, need: Need, why: Withdrawal, now: datetime) -> OfferStep:
    """End an offer that was not confirmed: it lapsed, or is not wanted any more.

    Raises:
        NotAllowed: it is over.
    """
    if offer.status is not Offered.OFFERED:
        raise NotAllowed("referral_over")
    status = Offered.LAPSED if why == "lapsed" else Offered.WITHDRAWN
    note = "referral_lapsed" if why == "lapsed" else "referral_withdrawn"
    return OfferStep(
        replace(offer, status=status, reason=why), _back(need, now, note), _withdrawn(offer, why)
    )


def left(offer: Offer) -> tuple[Offer, ReferralWithdrawnV1]:
    """The need went its own way while it was offered: it was cancelled, say, or served."""
    ended = replace(offer, status=Offered.WITHDRAWN, reason="ended")
    return ended, _withdrawn(offer, "ended")


def takes_back(offer: Offer, told: Told | None) -> bool:
    """Whether the target, told this, has no use any more for what it was told of the person."""
    return offer.status is Offered.REFUSED or isinstance(told, ReferralWithdrawnV1)


def repeated(offer: Offer) -> Told | None:
    """What the target has to know of an offer, whatever it was told before."""
    if offer.status is Offered.CONFIRMED:
        return ReferralConfirmedV1(referral_id=offer.id)
    if offer.status is Offered.REFUSED:
        return None
    return _withdrawn(offer, "ended")


def _back(need: Need, now: datetime, note: str) -> Decision:
    """It waits as before, by its age, and is asked for again at once: much may have grown."""
    if need.wait is not Wait.OFFERED:
        return Decision(need)
    waits = replace(need, wait=Wait.HOLD_EXPIRED, decided_at=now, retry_at=now)
    return moved(need, waits, note)


def _withdrawn(offer: Offer, why: Withdrawal) -> ReferralWithdrawnV1:
    return ReferralWithdrawnV1(referral_id=offer.id, reason=why)


class Got(StrEnum):
    """Where another region's offer stands."""

    OFFERED = "offered"
    TAKEN = "taken"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Referral:
    """Another region's offer.

    Attributes:
        need_id, person_id: what was made of it here.
        lapses_at: by the clock of who offers; None where only its end was heard of.
    """

    id: ReferralId
    from_region: str
    status: Got = Got.OFFERED
    lapses_at: datetime | None = None
    need_id: UUID | None = None
    person_id: UUID | None = None
    reason: str | None = None


def refuse(referral: Referral, why: Refusal) -> tuple[Referral, ReferralRefusedV1]:
    """Say no.

    Raises:
        NotAllowed: it was taken, or is over.
    """
    if referral.status is not Got.OFFERED:
        raise NotAllowed("referral_over")
    return _refused(referral, why)


def followed(referral: Referral, need: Need) -> tuple[Referral, Answered | None]:
    """What the source is told when the need that was made of its offer has moved."""
    if referral.status not in (Got.TAKEN, Got.ACCEPTED):
        return referral, None
    if need.state in CLOSED:
        return _refused(referral, "ended")
    if referral.status is Got.ACCEPTED:
        return referral, None
    if need.state is State.WAITLISTED:
        # A source that is gone has nobody else serve it: a person decides whether it waits here.
        return (referral, None) if need.attention == SOURCE_GONE else _refused(referral, "short")
    if need.all_held or need.state is State.FULFILLED:
        accepted = replace(referral, status=Got.ACCEPTED)
        return accepted, ReferralAcceptedV1(referral_id=referral.id)
    return referral, None


def confirmed(referral: Referral, need: Need, now: datetime) -> tuple[Referral, Decision]:
    """The need is this region's own: it goes on from where it stands."""
    if referral.status is not Got.ACCEPTED:
        return referral, Decision(need)
    return _goes_on(referral, need, now, "referral_confirmed")


def bereft(referral: Referral, need: Need) -> Decision:
    """The source is gone: it is for a person to keep what was made of its offer, or to end it."""
    if (
        referral.status not in (Got.TAKEN, Got.ACCEPTED)
        or need.state in CLOSED
        or need.attention is not None
    ):
        return Decision(need)
    flagged = replace(need, attention=SOURCE_GONE, settled=None)
    return moved(need, flagged, "source_gone")


def found_again(need: Need) -> Decision:
    """The source is back: it may let go of the need, as ever."""
    if need.attention != SOURCE_GONE:
        return Decision(need)
    return moved(need, replace(need, attention=None), "source_back")


def keep(
    referral: Referral, need: Need, now: datetime
) -> tuple[Referral, Decision, ReferralAcceptedV1]:
    """Make a need one's own whose source is gone; should it come back, it hears of that.

    Raises:
        NotAllowed: nothing was made of the offer, or it is over.
    """
    if referral.status not in (Got.TAKEN, Got.ACCEPTED):
        raise NotAllowed("referral_over")
    if need.attention == SOURCE_GONE:
        need = replace(need, attention=None)
    kept, decision = _goes_on(referral, need, now, "referral_kept")
    return kept, decision, ReferralAcceptedV1(referral_id=referral.id)


def _goes_on(referral: Referral, need: Need, now: datetime, note: str) -> tuple[Referral, Decision]:
    own = replace(need, pending=False)
    if own.state is State.WAITLISTED:
        # What was held for it ran out: it queues by its first day, as others do.
        news = waitlisted(replace(own, version=own.version + 1))
        decision = moved(own, own, note, news)
    else:
        after, events = progress(own, now)
        decision = moved(own, after, note, *events)
    return replace(referral, status=Got.CONFIRMED), decision


def withdrawn(referral: Referral, why: str) -> Referral:
    """The source keeps its need: what was made of it here is to be ended."""
    if referral.status is Got.CONFIRMED:
        return referral
    return replace(referral, status=Got.WITHDRAWN, reason=why)


def _refused(referral: Referral, why: Refusal) -> tuple[Referral, ReferralRefusedV1]:
    ended = replace(referral, status=Got.REFUSED, reason=why)
    return ended, ReferralRefusedV1(referral_id=referral.id, reason=why)
