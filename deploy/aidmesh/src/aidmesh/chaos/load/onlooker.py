"""Somebody who only looks, all the time, at what stands between regions."""

import random
from collections.abc import Mapping
from typing import Final, NamedTuple

from aidmesh.chaos.book import Json, rows, text
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.sightings import Sum
from aidmesh_chassis.auth import Role

ROWS_MAX: Final = "200"
_PARTS: Final = (
    "unallotted_minor",
    "allotted_minor",
    "exchange_difference_minor",
    "refund_due_minor",
    "refunded_minor",
)
"""Where what a grant received can be."""


class View(NamedTuple):
    """A list that is looked at.

    Attributes:
        member: of the answer, in which the rows are.
        id, state: members of a row.
    """

    kind: str
    service: str
    path: str
    role: Role
    member: str
    id: str
    state: str = "state"
    query: Mapping[str, str] = {}


def _views() -> tuple[View, ...]:
    stores, desk, money = Role.LOGISTICIAN, Role.CASEWORKER, Role.FINANCE
    asks = ("ask", "inventory", "/transfers", stores, "rows", "transfer_id", "state")
    goods = ("shipment", "inventory", "/shipments", stores, "rows", "shipment_id", "state")
    orders = ("order", "payments", "/paying-orders", money, "orders", "id", "state")
    both = ("in", "out")
    return (
        *(View(*asks, {"direction": each}) for each in both),
        *(View(*goods, {"direction": each}) for each in both),
        *(View(*goods, {"direction": each, "state": "received"}) for each in both),
        View("offer", "intake", "/referrals/out", desk, "referrals", "referral_id", "status"),
        View("referral", "intake", "/referrals/in", desk, "referrals", "referral_id", "status"),
        View("proposal", "payments", "/rebalancings", money, "rebalancings", "id"),
        View("return_ask", "payments", "/return-asks", money, "asks", "id"),
        *(View(*orders, {"state": each}) for each in ("received", "settled", "rejected")),
    )


VIEWS: Final = _views()


class Onlooker:
    """Looks at one region; one list after the other, so that what is shown is in order."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client = client
        self._rng = rng

    async def act(self) -> None:
        """Look at a list, or at the grants."""
        if self._rng.random() < 1 / (len(VIEWS) + 1):
            await self._look_at_grants()
        else:
            await self._look_at(self._rng.choice(VIEWS))

    async def _look_at(self, view: View) -> None:
        query = {"limit": ROWS_MAX, **view.query}
        page = await self._client.get(view.service, view.path, view.role, query)
        shown = self._client.book.shown
        for row in rows(page or {}, view.member):
            if state := text(row, view.state):  # an ask has none where another region decides
                shown.see(self._client.region, view.kind, text(row, view.id), state)

    async def _look_at_grants(self) -> None:
        page = await self._client.get("payments", "/grants", Role.FINANCE)
        for grant in rows(page or {}, "grants"):
            self._client.book.shown.see_sum(_sum_of(self._client.region, grant))


def _sum_of(region: str, grant: Json) -> Sum:
    parts = sum(int(str(grant[each])) for each in _PARTS)
    return Sum(region, text(grant, "code"), int(str(grant["received_minor"])), parts)
