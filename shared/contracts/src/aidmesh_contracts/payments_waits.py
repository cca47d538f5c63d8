"""Events of payments about money that needs of a region wait for; all regions hear them."""

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Code, Currency

STEP_MINOR = 10_000
"""Sums are told in whole steps, rounded up: so none is what a single person asked for."""


class WaitChangedV1(
    Event, type="payments.wait.changed.v1", stream=Stream.EVENTS, key="programme_currency"
):
    """How much money needs of a programme wait for; nothing of single needs, or how many they are.

    The highest version wins. What is sensitive is left out: a programme may tell what somebody
    lives through.

    Attributes:
        programme_currency: both, as in `BlockedBy` of money.
        amount_minor: what they want together, in steps of `STEP_MINOR`; 0 when nobody waits.
        chosen_minor: of that, for needs that somebody there chose to be served by rule.
    """

    programme_currency: str
    programme: Code
    currency: Currency
    amount_minor: int = Field(ge=0)
    chosen_minor: int = Field(default=0, ge=0)
    version: int = Field(gt=0)
    as_of: AwareDatetime


EVENTS: tuple[type[Event], ...] = (WaitChangedV1,)
