"""The box in which a payout goes to the office that pays it."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aidmesh_chassis.crypto import DecryptionFailed, PublicKey, seal
from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_chassis.privacy import REVEAL
from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.values import Currency
from aidmesh_payments.handlers.payees import Payee


class Assignment(BaseModel):
    """What the paying office has to know. Sealed as this model's JSON.

    Attributes:
        approver: who approved it at the holder: the first of two people.
        sealed_by: who entered or last corrected there where it goes.
        purpose: what the payee's bank shows, worded so that it tells nothing.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    grant_id: GrantId
    allotment_id: AllotmentId
    amount_minor: Annotated[int, Field(gt=0, le=10**15)]
    currency: Currency
    approver: UUID
    sealed_by: UUID | None = None
    purpose: str
    payee: Payee


class UnreadableError(Exception):
    """A box was not sealed to this office, is damaged, or breaks a rule; says nothing of it."""


def sealed(assignment: Assignment, key: PublicKey) -> bytes:
    """Seal it so that only that office opens it."""
    return seal(key, assignment.model_dump_json(exclude_none=True, context=dict(REVEAL)).encode())


def opened(keys: KeyRing, box: bytes) -> Assignment:
    """Open a box.

    Raises:
        Locked: the key is not loaded.
        UnreadableError: it cannot be used.
    """
    try:
        return Assignment.model_validate_json(keys.unseal(PAYMENTS, box))
    except (DecryptionFailed, ValidationError):
        raise UnreadableError from None
