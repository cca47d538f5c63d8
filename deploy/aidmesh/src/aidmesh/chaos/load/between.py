"""Referrals: what other regions offer is taken or refused, what was offered is taken back."""

import random

from aidmesh.chaos.book import Json, Status, rows, text
from aidmesh.chaos.load.cases import Case, Region
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import Firsts
from aidmesh_chassis.auth import Role


class Liaison:
    """Looks at the offers of one region."""

    def __init__(self, client: Client, region: Region, rng: random.Random) -> None:
        self._client = client
        self._region = region
        self._rng = rng
        self._firsts = Firsts(client, {"take_referral": self._answer})

    async def act(self) -> None:
        """Answer an offer, or take one back."""
        if await self._firsts.act():
            return
        if self._rng.random() < 0.95:
            await self._answer()
        else:
            await self._withdraw()

    async def _offer(self, direction: str) -> Json | None:
        path = f"/referrals/{direction}"
        page = await self._client.get("intake", path, Role.CASEWORKER)
        found = [each for each in rows(page or {}, "referrals") if each["status"] == "offered"]
        return self._rng.choice(found) if found else None

    async def _answer(self) -> None:
        offer = await self._offer("in")
        if offer is None:
            return
        referral = text(offer, "referral_id")
        wanted = offer.get("wanted")
        kind = str(wanted.get("kind", "")) if isinstance(wanted, dict) else ""
        if "take_referral" not in self._client.done or self._rng.random() < 0.75:
            path = f"/referrals/{referral}:take"
            op = await self._client.do(
                "take_referral", "intake", path, Role.CASEWORKER, {}, referral=referral, kind=kind
            )
            if op.status is Status.ACCEPTED:
                case = Case(text(op.answer, "need_id"), kind, referred=True)
                self._region.cases.append(case)
            return
        path = f"/referrals/{referral}:refuse"
        await self._client.do(
            "refuse_referral", "intake", path, Role.CASEWORKER, {}, referral=referral
        )

    async def _withdraw(self) -> None:
        offer = await self._offer("out")
        if offer is None:
            return
        referral = text(offer, "referral_id")
        path = f"/referrals/{referral}:withdraw"
        await self._client.do(
            "withdraw_referral", "intake", path, Role.CASEWORKER, {}, referral=referral
        )
