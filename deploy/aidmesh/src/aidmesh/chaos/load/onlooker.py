"""Somebody who only looks, all the time, at what stands between regions."""

import random
from collections.abc import Mapping
from typing import Final, NamedTuple

from aidmesh.chaos.balance import paid_of, unbalanced
from aidmesh.chaos.book import rows, text
from aidmesh.chaos.load.client import Client
from aidmesh_chassis.auth import Role

ROWS_MAX: Final = "200"
GRANTS_SHARE: Final = 0.3
"""How often it is grants that are looked at, where a region has some."""


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
        """Look at the grants, or at a list."""
        if self._rng.random() < GRANTS_SHARE and await self._look_at_grants():
            return
        await self._look_at(self._rng.choice(VIEWS))

    async def _look_at(self, view: View) -> None:
        query = {"limit": ROWS_MAX, **view.query}
        page = await self._client.get(view.service, view.path, view.role, query)
        shown = self._client.book.shown
        for row in rows(page or {}, view.member):
            if state := text(row, view.state):  # an ask has none where another region decides
                shown.see(self._client.region, view.kind, text(row, view.id), state)

    async def _look_at_grants(self) -> bool:
        """Look at each grant of the region; False if it has none."""
        page = await self._client.get("payments", "/grants", Role.FINANCE)
        grants = rows(page or {}, "grants")
        for grant in grants:
            await self._look_at_grant(text(grant, "id"))
        return bool(grants)

    async def _look_at_grant(self, grant: str) -> None:
        book = self._client.book
        least = paid_of(book.ops, grant)
        shown = await self._client.get("payments", f"/grants/{grant}", Role.FINANCE)
        if shown is not None:
            most = paid_of(book.ops, grant, begun_too=True)
            book.shown.see_grant(self._client.region, grant, unbalanced(shown, least, most))
