"""Money at the grantor: instalments and allotments."""

import random
from datetime import timedelta
from typing import Final

from aidmesh.chaos.book import Json, Op, Status, text
from aidmesh.chaos.load.cases import Region
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import Firsts
from aidmesh_chassis.auth import Role

GRANT_MINOR: Final = 10**11
INSTALMENT_MINOR: Final = 3_000_000
ALLOTMENT_MINOR: Final = 1_000_000


class Treasury:
    """The finance desk of the region that has the grants."""

    def __init__(self, client: Client, regions: list[Region], rng: random.Random) -> None:
        self._client = client
        self._regions = regions
        self._rng = rng
        self._grants: list[tuple[str, str]] = []
        self._allotments: list[tuple[str, str]] = []
        self._recallable: list[str] = []
        self._count = 0
        self._firsts = Firsts(client, {"raise": self._raise, "recall": self._recall})

    async def set_up(self, paying_offices: list[str]) -> None:
        """Make a grant per paying office, each with money, and allot some to every region."""
        name: Json = {"name": "Donor (synthetic)"}
        donor = await self._finance("donor", "/donors", name)
        today = self._regions[0].today
        for number, office in enumerate(paying_offices, start=1):
            code = f"grant{number}"
            body: Json = {
                "donor_id": text(donor.answer, "donor_id"),
                "code": code,
                "currency": "UAH",
                "amount_minor": GRANT_MINOR,
                "period_from": (today - timedelta(days=30)).isoformat(),
                "period_to": (today + timedelta(days=300)).isoformat(),
                "budget_lines": [{"code": "aid", "amount_minor": GRANT_MINOR}],
                "paying_office": office,
            }
            made = await self._finance("grant", "/grants", body)
            grant_id = text(made.answer, "grant_id")
            await self._client.do(
                "activate", "payments", f"/grants/{grant_id}:activate", Role.LEAD, {}
            )
            self._grants.append((grant_id, code))
            await self._instalment(grant_id, code)
            for region in self._regions:
                await self._allot(grant_id, region.name)

    async def act(self) -> None:
        """Take money in, send it out, ask it back."""
        if await self._firsts.act():
            return
        grant_id, code = self._rng.choice(self._grants)
        chance = self._rng.random()
        if chance < 0.3:
            await self._instalment(grant_id, code)
        elif chance < 0.5:
            await self._allot(grant_id, self._rng.choice(self._regions).name)
        elif chance < 0.85 and self._allotments:
            await self._raise()
        elif self._recallable:
            await self._recall()

    async def _instalment(self, grant_id: str, code: str) -> None:
        self._count += 1
        amount = INSTALMENT_MINOR + self._rng.randint(0, 99_999)
        reference = f"in-{code}-{self._count}"
        row: Json = {
            "row_id": reference,
            "grant": code,
            "amount_minor": amount,
            "received_on": self._regions[0].today.isoformat(),
            "bank_reference": reference,
        }
        body: Json = {"source": "bank", "rows": [row]}
        await self._finance(
            "instalment",
            "/instalments:bulk",
            body,
            grant=grant_id,
            amount_minor=str(amount),
            reference=reference,
        )

    async def _allot(self, grant_id: str, region: str) -> None:
        amount = self._rng.randint(ALLOTMENT_MINOR // 4, ALLOTMENT_MINOR)
        body: Json = {
            "grant_id": grant_id,
            "budget_line": "aid",
            "to_region": region,
            "amount_minor": amount,
            "currency": "UAH",
        }
        op = await self._finance(
            "allot", "/allotments", body, grant=grant_id, to=region, amount_minor=str(amount)
        )
        if op.status is Status.ACCEPTED:
            allotment = text(op.answer, "allotment_id")
            self._allotments.append((allotment, grant_id))
            if len(self._allotments) > 2 * len(self._regions):
                self._recallable.append(allotment)

    async def _recall(self) -> None:
        """Ask an allotment back; where all are the first of their kind, make one first."""
        if not self._recallable:
            grant_id, _ = self._rng.choice(self._grants)
            await self._allot(grant_id, self._rng.choice(self._regions).name)
            return
        allotment = self._recallable.pop(self._rng.randrange(len(self._recallable)))
        self._allotments = [each for each in self._allotments if each[0] != allotment]
        body: Json = {"reason": "grant_cut"}
        path = f"/allotments/{allotment}:recall"
        await self._client.do("recall", "payments", path, Role.LEAD, body, allotment=allotment)

    async def _raise(self) -> None:
        allotment, grant_id = self._rng.choice(self._allotments)
        amount = self._rng.randint(10_000, ALLOTMENT_MINOR // 2)
        body: Json = {"amount_minor": amount}
        path = f"/allotments/{allotment}:raise"
        await self._finance(
            "raise", path, body, allotment=allotment, grant=grant_id, amount_minor=str(amount)
        )

    async def _finance(self, what: str, path: str, body: Json, **facts: str) -> Op:
        return await self._client.do(what, "payments", path, Role.FINANCE, body, **facts)
