"""What providers charge for needs, as payments tells of it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from pydantic import Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View


class Bill(View):
    """A bill that waits for a second person; some may not see of what grant.

    Attributes:
        committed_minor: what the provider gets as long as it waits.
        state: `spent` once the service was given, else `committed`.
        biller: who entered it.
    """

    id: UUID
    need_id: UUID
    amount_minor: int
    committed_minor: int
    currency: str
    state: str
    grant_code: str | None = None
    biller: UUID
    recorded_at: datetime


class Bills(Page):
    """A page of them, the oldest first."""

    rows: tuple[Bill, ...] = Field(validation_alias="bills")


class Committed(View):
    """What was set aside for an attempt of a need.

    Attributes:
        purpose: `provider` where a bill may be entered.
    """

    id: UUID
    amount_minor: int
    currency: str
    purpose: str
    state: str
    grant_code: str | None = None
    spent_on: date | None = None


class _OfNeed(View):
    commitments: tuple[Committed, ...]


class _Entered(View):
    waits: bool


_BILLS: Final = TypeAdapter(Bills)
_OF_NEED: Final = TypeAdapter(_OfNeed)
_ENTERED: Final = TypeAdapter(_Entered)


async def bills(link: Link, after: str | None = None, limit: int = 50) -> Bills:
    """Bills that wait for a second person."""
    return await link.get("/v1/bills", _BILLS, {"after": after, "limit": limit})


async def payable(link: Link, need_id: UUID) -> Sequence[Committed]:
    """What providers are to get for a need, or have got."""
    found = await link.get(f"/v1/needs/{need_id}/commitment", _OF_NEED)
    return [
        each
        for each in found.commitments
        if each.purpose == "provider" and each.state in ("committed", "spent")
    ]


async def enter(link: Link, commitment_id: UUID, amount_minor: int, key: UUID) -> bool:
    """Enter a bill; whether it waits for a second person."""
    path = f"/v1/commitments/{commitment_id}:bill"
    return (await link.post(path, _ENTERED, {"amount_minor": amount_minor}, key)).waits


async def decide(link: Link, bill_id: UUID, step: str, key: UUID) -> None:
    """Approve or withdraw a bill that waits: `step` is its name."""
    await link.post(f"/v1/bills/{bill_id}:{step}", ACCEPTED, key=key)
