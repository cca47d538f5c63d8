"""People in two regions who are perhaps one person, and what staff does about it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1
from integration.intake.sides import Side, exchange
from integration.intake.world import only

PHONE = "+380 67 765 43 21"

AGREED = {"same_person": "2024-05-01"}

SWEEPS = ("lookups", "compared_lookups", "closed_lookups")


@dataclass
class Pair:
    """kyiv, where the person came first, and lviv, which opened a case of its own."""

    kyiv: Side
    lviv: Side

    async def settle(self) -> None:
        """Deliver and sweep until nothing more happens."""
        while True:
            await exchange(self.kyiv, self.lviv)
            done = [await side.world.sweep(name) for side in self.sides for name in SWEEPS]
            if not any(done):
                break
        await exchange(self.kyiv, self.lviv)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.kyiv, self.lviv

    async def found(self) -> tuple[UUID, UUID, UUID]:
        """Lviv asks about somebody whom Kyiv knows: her there, her here, and the link."""
        hers = await person(self.kyiv)
        ours = await person(self.lviv)
        await look_for(self.lviv, ours, "kyiv")
        await self.settle()
        (link,) = await links(self.lviv, ours)
        return hers, ours, UUID(link["link_id"])


def body(**fields: Any) -> dict[str, Any]:
    return {
        "client_code": f"c-{uuid4()}",
        "legal_name": "Канарейка Тестова",
        "birth_year": 1984,
        "contact": {"channel": "sms", "address": PHONE},
        "consents": AGREED,
    } | fields


async def person(side: Side, **fields: Any) -> UUID:
    """Somebody new, by default the same woman each time."""
    made = await side.world.post("/v1/persons", body(**fields), status=201)
    return UUID(made["person_id"])


async def change(side: Side, person_id: UUID, **fields: Any) -> None:
    known = await side.world.get(f"/v1/persons/{person_id}")
    answer = await side.world.client.put(
        f"/v1/persons/{person_id}",
        json=body(**fields) | {"version": known["version"]},
        headers=side.world.headers(),
    )
    assert answer.status_code == 200, answer.text


async def look_for(side: Side, person_id: UUID, region: str, status: int = 201, **more: Any) -> Any:
    return await side.world.post(
        f"/v1/persons/{person_id}:look-for", {"to_region": region} | more, status=status
    )


async def links(side: Side, person_id: UUID | None = None, **query: Any) -> list[dict[str, Any]]:
    if person_id is not None:
        query["person_id"] = str(person_id)
    found: list[dict[str, Any]] = (await side.world.get("/v1/links", **query))["links"]
    return found


async def status(side: Side) -> list[str]:
    rows = (await side.world.get("/v1/lookups"))["lookups"]
    return [row["status"] for row in rows]


async def confirm(side: Side, link_id: UUID, status: int = 200) -> Any:
    return await side.world.post(f"/v1/links/{link_id}:confirm", status=status)


async def refuse(side: Side, link_id: UUID, status: int = 200) -> Any:
    return await side.world.post(f"/v1/links/{link_id}:refuse", status=status)


async def told(side: Side) -> tuple[list[PersonLinkedV1], list[PersonPartedV1]]:
    """What reporting was told so far."""
    events = await side.world.published(from_start=True)
    return only(events, PersonLinkedV1), only(events, PersonPartedV1)
