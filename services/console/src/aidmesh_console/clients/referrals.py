"""Referrals between regions as the desk sees them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, ROWS_MAX, Link, Page, View


class Offer(View):
    """An own need, offered to another region."""

    referral_id: UUID
    need_id: UUID
    kind: str
    to_region: str
    status: str
    lapses_at: datetime


class Wanted(View):
    """What another region asks for; nothing says for whom."""

    kind: str
    quantity: int
    band: str
    asked_on: date
    from_on: date | None
    to_on: date | None
    place_area: str
    site_id: UUID | None


class Referral(View):
    """Another region's offer; `wanted` of None is over, taken, or not to be seen."""

    referral_id: UUID
    from_region: str
    status: str
    lapses_at: datetime
    need_id: UUID | None
    wanted: Wanted | None


class Offers(Page):
    """A page of own offers."""

    referrals: tuple[Offer, ...]


class Referrals(Page):
    """A page of offers of others."""

    referrals: tuple[Referral, ...]


_OUT: Final = TypeAdapter(Offers)
_IN: Final = TypeAdapter(Referrals)


async def offers(link: Link, after: str | None) -> Offers:
    """Offers to other regions, the latest first."""
    return await link.get("/v1/referrals/out", _OUT, {"after": after, "limit": ROWS_MAX})


async def referrals(link: Link, after: str | None) -> Referrals:
    """Offers of other regions, the latest first."""
    return await link.get("/v1/referrals/in", _IN, {"after": after, "limit": ROWS_MAX})


async def refer(link: Link, need_id: UUID, body: Mapping[str, Any], key: UUID) -> None:
    """Offer a need to another region."""
    await link.post(f"/v1/needs/{need_id}:refer", ACCEPTED, body, key)


async def act(link: Link, referral_id: UUID, step: str, key: UUID) -> None:
    """Take or refuse an offer, or withdraw an own one."""
    await link.post(f"/v1/referrals/{referral_id}:{step}", ACCEPTED, key=key)
