"""Events of intake about needs that one other region is asked to serve."""

from typing import Literal

from pydantic import AwareDatetime

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import ReferralId
from aidmesh_contracts.streams import Stream


class ReferralOfferedV1(
    Event, type="intake.referral.offered.v1", stream=Stream.HANDOFF, key="referral_id"
):
    """A region asks another to serve a need; it keeps it until that one has said yes.

    Attributes:
        lapses_at: until when it may be accepted, by the clock of who offers.
        sealed: base64 of a sealed box that only intake there opens: whose need it is, and what.
    """

    referral_id: ReferralId
    lapses_at: AwareDatetime
    sealed: str


class ReferralAcceptedV1(
    Event, type="intake.referral.accepted.v1", stream=Stream.HANDOFF, key="referral_id"
):
    """What the need takes is held; nothing is given and nobody told before it is confirmed."""

    referral_id: ReferralId


class ReferralRefusedV1(
    Event, type="intake.referral.refused.v1", stream=Stream.HANDOFF, key="referral_id"
):
    """It will not be served there; also after it was accepted, as long as it is not confirmed.

    Attributes:
        reason: `short` (what it takes could not be held), `declined` (a person said no),
            `ended` (the need that was made of it ended).
    """

    referral_id: ReferralId
    reason: Literal["short", "declined", "ended"]


class ReferralConfirmedV1(
    Event, type="intake.referral.confirmed.v1", stream=Stream.HANDOFF, key="referral_id"
):
    """The need is the receiver's from now on, and is served there alone. It is final."""

    referral_id: ReferralId


class ReferralWithdrawnV1(
    Event, type="intake.referral.withdrawn.v1", stream=Stream.HANDOFF, key="referral_id"
):
    """The offer stands no more: what was made of it ends, and its personal data is deleted.

    It may overtake the offer, so receivers keep a tombstone.
    """

    referral_id: ReferralId
    reason: Literal["lapsed", "withdrawn", "ended"]


EVENTS: tuple[type[Event], ...] = (
    ReferralOfferedV1,
    ReferralAcceptedV1,
    ReferralRefusedV1,
    ReferralConfirmedV1,
    ReferralWithdrawnV1,
)
