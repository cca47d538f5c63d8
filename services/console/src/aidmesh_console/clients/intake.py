"""Intake as the desk sees it: kinds of need, persons, requests and needs."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AliasChoices, Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, View


class StockTake(View):
    """Pieces of an item for each unit of a need."""

    item: str
    quantity: int = 1


class CapacityTake(View):
    """A bed, or a slot with a professional."""

    resource: Literal["bed", "slot"]
    code: str
    minutes: int | None = None


class Price(View):
    """What one unit costs from a day on."""

    from_on: date
    amount_minor: int
    currency: str = "UAH"


class MoneyTake(View):
    """Money for each unit; `payout` pays the person."""

    prices: tuple[Price, ...] = ()
    by: Literal["payout", "provider"]
    amount_given: bool = False
    amount_minor_max: int | None = None

    @property
    def currency(self) -> str:
        """The currency of the latest price."""
        return self.prices[-1].currency if self.prices else "UAH"

    def price_on(self, day: date) -> Price | None:
        """The price of a day."""
        begun = [price for price in self.prices if price.from_on <= day]
        return max(begun or self.prices, key=lambda price: price.from_on, default=None)


class Kind(View):
    """One kind of need of the catalogue."""

    code: str
    names: Mapping[str, str]
    programme: str
    sensitivity: str = "none"
    for_whom: tuple[str, ...] = ("person", "household")
    headcount: bool = False
    stock: tuple[StockTake, ...] = ()
    capacity: CapacityTake | None = None
    money: MoneyTake | None = None
    unit: str = "piece"
    active: bool = True


class BlockedBy(View):
    """What a waiting need waits for."""

    resource: str
    code: str
    site_id: UUID | None = None
    area: str | None = None
    quantity: int = 1


class Need(View):
    """A need as lists show it: a band and dates, never the reasons."""

    need_id: UUID
    kind: str
    state: str
    band: str | None = None
    quantity: int = 1
    area: str | None = Field(default=None, validation_alias=AliasChoices("place_area", "area"))
    site_id: UUID | None = None
    at_site_id: UUID | None = None
    asked_on: date | None = None
    needed_by: date | None = None
    planned_on: date | None = None
    served_on: date | None = None
    attempt_no: int = 0
    blocked_by: BlockedBy | None = None
    wait: str | None = None
    told_at: datetime | None = None
    reason: str | None = None
    person_id: UUID | None = None
    for_whom: str | None = None
    headcount: int | None = None


class Step(View):
    """One entry of a need's history."""

    at: datetime
    event: str
    attempt_no: int | None = None
    reason: str | None = None


class NeedWhole(Need):
    """A need with its history."""

    timeline: tuple[Step, ...] = ()


class Needs(View):
    """A page of needs; `next` is the cursor of the following one."""

    rows: tuple[Need, ...] = Field(default=(), validation_alias=AliasChoices("needs", "rows"))
    next: str | None = None


class Found(View):
    """Whether somebody of a client code is known."""

    person_id: UUID | None = None


class Registered(View):
    """What became of a request."""

    request_id: UUID
    person_id: UUID | None = None
    needs: tuple[Need, ...] = ()


class Waiting(View):
    """How many needs wait for the same thing."""

    resource: str
    code: str
    site_id: UUID | None = None
    area: str | None = None
    needs: int
    quantity: int | None = None
    oldest_asked_on: date | None = None


class _Kinds(View):
    kinds: tuple[Kind, ...] = Field(validation_alias=AliasChoices("kinds", "rows"))


class _Waitlist(View):
    rows: tuple[Waiting, ...] = Field(
        default=(), validation_alias=AliasChoices("waitlist", "blockers", "rows")
    )


_KINDS = TypeAdapter(_Kinds)
_NEEDS = TypeAdapter(Needs)
_NEED = TypeAdapter(NeedWhole)
_FOUND = TypeAdapter(Found)
_REGISTERED = TypeAdapter(Registered)
_WAITLIST = TypeAdapter(_Waitlist)
_COUNTS = TypeAdapter(dict[str, int])


class Intake:
    """What the desk asks of intake."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def kinds(self) -> tuple[Kind, ...]:
        """The catalogue, as far as new requests may name it."""
        answer = await self.link.get("/v1/kinds", _KINDS)
        return tuple(kind for kind in answer.kinds if kind.active)

    async def find(self, client_code: str) -> UUID | None:
        """The person of a client code, None if there is none here."""
        body = {"client_code": client_code}
        return (await self.link.post("/v1/persons:search", _FOUND, body)).person_id

    async def register(self, request: Mapping[str, Any], key: UUID) -> Registered:
        """Enter a request with its needs, and the person where they are new."""
        return await self.link.post("/v1/requests", _REGISTERED, request, key)

    async def needs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        area: str | None = None,
        person_id: UUID | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Needs:
        """A page of needs, the most urgent first."""
        query = {
            "state": state,
            "kind": kind,
            "area": area,
            "person_id": str(person_id) if person_id else None,
            "after": after,
            "limit": limit,
        }
        return await self.link.get("/v1/needs", _NEEDS, query)

    async def need(self, need_id: UUID) -> NeedWhole:
        """One need with its history."""
        return await self.link.get(f"/v1/needs/{need_id}", _NEED)

    async def counts(self) -> Mapping[str, int]:
        """How many needs are in each state."""
        return await self.link.get("/v1/needs/counts", _COUNTS)

    async def waitlist(self) -> Sequence[Waiting]:
        """What needs wait for."""
        return (await self.link.get("/v1/waitlist", _WAITLIST)).rows

    async def approve(self, need_id: UUID, key: UUID) -> None:
        """Let a need be served."""
        await self.link.post(f"/v1/needs/{need_id}:approve", ACCEPTED, key=key)

    async def told(self, need_id: UUID, key: UUID) -> None:
        """The person was told in person that everything is ready."""
        await self.link.post(f"/v1/needs/{need_id}:told", ACCEPTED, key=key)

    async def end(self, need_id: UUID, how: str, reason: str, key: UUID) -> None:
        """Cancel a need, or decline it: `how` is the step's name."""
        body = {"reason": reason}
        await self.link.post(f"/v1/needs/{need_id}:{how}", ACCEPTED, body, key)
