"""Two regions, one of which refers needs to the other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1
from integration.intake.sides import Side, exchange
from integration.intake.world import only, refused

LVIV = "UA46"

ASKED_ON = day_of(datetime.now(UTC)) - timedelta(days=9)


@dataclass
class Two:
    """kyiv, where people wait, and lviv, which may serve them."""

    kyiv: Side
    lviv: Side

    async def exchange(self) -> None:
        """Deliver until nothing more is said."""
        await exchange(self.kyiv, self.lviv)

    async def waiting(self, **who: str) -> UUID:
        """A need in Kyiv for which there is nothing."""
        consents = {"referral": str(ASKED_ON)}
        return await wait_for_parcel(self.kyiv, "UA80", consents, ASKED_ON, **who)

    async def offer(self, need_id: UUID, status: int = 201) -> UUID:
        body = {"to_region": "lviv", "place_area": LVIV}
        made = await self.kyiv.world.post(f"/v1/needs/{need_id}:refer", body, status=status)
        return UUID(made["referral_id"])

    async def take(self, referral_id: UUID) -> UUID:
        made = await self.lviv.world.post(f"/v1/referrals/{referral_id}:take", status=201)
        return UUID(made["need_id"])

    async def accepted(self) -> tuple[UUID, UUID, UUID]:
        """A need, its referral, and what Lviv holds for it; Kyiv has not heard of that yet."""
        need_id = await self.waiting()
        referral_id = await self.offer(need_id)
        await self.exchange()
        theirs = await self.take(referral_id)
        await self.lviv.hold_all(await self.lviv.world.published())
        assert await self.status("lviv", referral_id) == "accepted"
        return need_id, referral_id, theirs

    async def status(self, region: str, referral_id: UUID) -> str:
        side, table = (self.kyiv, "out") if region == "kyiv" else (self.lviv, "in")
        query = f"SELECT status FROM referral_{table} WHERE id = $1"  # noqa: S608 - constants
        return str(await side.value(query, referral_id))


async def wait_for_parcel(
    side: Side, area: str, consents: dict[str, str], asked_on: object, **who: str
) -> UUID:
    """A need of somebody new that is refused for want of goods."""
    body = {
        "for_whom": "person",
        "asked_on": str(asked_on),
        "person": (who or {"chosen_name": "Canary"}) | {"area": area, "consents": consents},
        "needs": [{"kind": "food_parcel", "place_area": area}],
    }
    made = await side.world.post("/v1/requests", body, status=201)
    # Another that was offered made room for it: it is asked for once more.
    asked = only(await side.world.published(), NeedApprovedV1)
    while asked:
        asked = only(await side.world.feed(*(refused(each) for each in asked)), NeedApprovedV1)
    return UUID(made["needs"][0]["need_id"])
