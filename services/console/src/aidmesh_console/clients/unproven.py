"""What may have been paid, as nobody can prove: as payments tells of it."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from pydantic import Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View


class Unproven(View):
    """A payout, an order of another region, or a purchase; amounts of sealed ones are not known."""

    id: UUID
    about: str
    since: datetime
    amount_minor: int | None = None
    currency: str | None = None
    mechanism: str | None = None
    state: str | None = None
    region: str | None = None
    supplier: str | None = None
    need_id: UUID | None = None
    recorded_at: datetime | None = None


class AllUnproven(Page):
    """A page of them, the oldest first."""

    rows: tuple[Unproven, ...] = Field(validation_alias="unproven")


_UNPROVEN: Final = TypeAdapter(AllUnproven)


async def unproven(link: Link, after: str | None = None, limit: int = 50) -> AllUnproven:
    """What nobody can prove."""
    return await link.get("/v1/unproven", _UNPROVEN, {"after": after, "limit": limit})


async def paid(
    link: Link, payment_id: UUID, bank_reference: str, served_on: date, key: UUID
) -> None:
    """It was paid, as the bank's statement or the cash book says."""
    body = {"bank_reference": bank_reference, "served_on": served_on.isoformat()}
    await link.post(f"/v1/unproven/{payment_id}:paid", ACCEPTED, body, key)


async def clear(link: Link, payment_id: UUID, note: str, key: UUID) -> None:
    """Nothing came of it."""
    body = {"ids": [str(payment_id)], "note": note}
    await link.post("/v1/unproven:clear", ACCEPTED, body, key)
