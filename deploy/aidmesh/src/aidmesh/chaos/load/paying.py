"""Payments where money is held and where it is paid: made, rejected, come back, drawn up again."""

import random
from typing import Final

from aidmesh.chaos.book import Json, Op, Status, rows, text
from aidmesh.chaos.load.cases import Region
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import Firsts
from aidmesh_chassis.auth import Role

REJECTED: Final = 0.08
"""How many payments the bank does not carry out, of those after the first."""
REDONE: Final = 0.7
"""How many of those that failed are drawn up again; for the others the money is let go."""
LISTED_MAX: Final = 3
BANK: Final = "AC04"
REJECTS: Final = {"settle": "reject_payout", "settle_order": "reject_order"}
RETURNS: Final = {"settle": "return_paid", "settle_order": "return_order"}


class Cashier:
    """Pays what was approved, own and other regions', and gives back what is not needed."""

    def __init__(self, client: Client, region: Region, rng: random.Random, name: str) -> None:
        self._client = client
        self._region = region
        self._rng = rng
        self._name = name
        self._tried: set[str] = set()
        self._firsts = Firsts(
            client,
            {
                "settle_order": self._pay_for_others,
                "settle": self._pay_own,
                "return": self._give_back,
            },
        )
        self._paid: list[tuple[str, str, dict[str, str]]] = []

    async def act(self) -> None:
        """Pay some, give a little back, or see to what went wrong."""
        if await self._firsts.act():
            return
        chance = self._rng.random()
        if chance < 0.1:
            await self._give_back()
        elif chance < 0.4:
            await self._pay_own()
        elif chance < 0.75:
            await self._pay_for_others()
        elif chance < 0.8:
            await self._list()
        elif chance < 0.82 and self._paid:
            await self._come_back()
        else:
            await self._see_to_failed()

    async def _pay_own(self) -> None:
        query = {"state": "approved"}
        page = await self._client.get("payments", "/payouts", Role.FINANCE, query)
        for payout in rows(page or {}, "payouts"):
            if payout.get("assigned_to") is None:
                await self._settle("settle", "/payouts", payout, self._region.name)

    async def _pay_for_others(self) -> None:
        query = {"state": self._rng.choice(("received", "exported"))}
        page = await self._client.get("payments", "/paying-orders", Role.FINANCE, query)
        for order in rows(page or {}, "orders"):
            if order.get("amount_minor") is not None:
                await self._settle("settle_order", "/paying-orders", order, text(order, "region"))

    async def _list(self) -> None:
        """Put other regions' payments on a list: from then on they have left."""
        body: Json = {"currency": "UAH", "mechanism": "iban", "rows_max": LISTED_MAX}
        await self._do("list_orders", "/paying-orders:export", Role.FINANCE, body)

    async def _settle(self, what: str, path: str, payout: Json, holder: str) -> None:
        """Enter what became of a payment: once, whoever else looks at the same list."""
        payout_id = text(payout, "id")
        if payout_id in self._tried:
            return
        self._tried.add(payout_id)
        if what in self._client.done and self._rng.random() < REJECTED:
            said = REJECTS[what]
            body: Json = {"reason": BANK}
            await self._do(said, f"{path}/{payout_id}:reject", Role.FINANCE, body, payout=payout_id)
            return
        row: Json = {
            "row_id": payout_id,
            "payout_id": payout_id,
            "bank_reference": f"paid-{payout_id}",
            "served_on": self._region.today.isoformat(),
        }
        body = {"source": self._name, "rows": [row]}
        facts = {
            "payout": payout_id,
            "holder": holder,
            "amount_minor": str(payout["amount_minor"]),
        }
        reference = f"paid-{payout_id}"
        op = await self._do(
            what, f"{path}:settle", Role.FINANCE, body, **facts, reference=reference
        )
        if op.status is Status.ACCEPTED:
            self._paid.append((RETURNS[what], path, facts))

    async def _come_back(self) -> None:
        """A payment that was made comes back."""
        what, path, facts = self._paid.pop(self._rng.randrange(len(self._paid)))
        body: Json = {"reason": BANK}
        path = f"{path}/{facts['payout']}:return"
        await self._do(what, path, Role.FINANCE, body, **facts)

    async def _see_to_failed(self) -> None:
        """Draw up again what did not arrive and have it approved, or let its money go."""
        query = {"state": self._rng.choice(("rejected", "returned"))}
        page = await self._client.get("payments", "/payouts", Role.FINANCE, query)
        failed = [
            each
            for each in rows(page or {}, "payouts")
            if f"failed-{each['id']}" not in self._tried
        ]
        if not failed:
            return
        payout = self._rng.choice(failed)
        payout_id, need = text(payout, "id"), text(payout, "need_id")
        self._tried.add(f"failed-{payout_id}")
        if self._rng.random() > REDONE:
            path = f"/payouts/{payout_id}:give-up"
            op = await self._do("give_up", path, Role.FINANCE, {}, payout=payout_id)
            if op.status is Status.ACCEPTED:
                self._region.pay_anew(need)
            return
        path = f"/payouts/{payout_id}:redo"
        drawn = await self._do("redo", path, Role.FINANCE, {}, payout=payout_id)
        if drawn.status is Status.ACCEPTED:
            row: Json = {"row_id": f"again-{payout_id}", "need_id": need}
            body: Json = {"source": self._name, "rows": [row]}
            await self._do("approve", "/payouts:approve", Role.APPROVER, body, need=need)

    async def _give_back(self) -> None:
        query = {"holder": self._region.name}
        page = await self._client.get("payments", "/allotments", Role.FINANCE, query)
        found = rows(page or {}, "allotments")
        if not found:
            return
        allotment = text(self._rng.choice(found), "allotment_id")
        amount = self._rng.randint(1, 20_000)
        body: Json = {"amount_minor": amount}
        path = f"/allotments/{allotment}:return"
        await self._do(
            "return", path, Role.FINANCE, body, allotment=allotment, amount_minor=str(amount)
        )

    async def _do(self, what: str, path: str, role: Role, body: Json, **facts: str) -> Op:
        return await self._client.do(what, "payments", path, role, body, **facts)
