"""People who are known in two regions: found blindly, decided by somebody in each."""

import random
from dataclasses import dataclass, field
from typing import Final

from aidmesh.chaos.book import Json, rows, text
from aidmesh.chaos.load.client import Client
from aidmesh_chassis.auth import Role

SHARE: Final = 0.12
"""How many of those who register agree to be looked for elsewhere."""


@dataclass(slots=True)
class Traveller:
    """Somebody by their telephone, with what two regions call them.

    Attributes:
        homes: the person's id in each region that has them; two at the most.
        busy: somebody registers them, and nobody knows yet what came of it.
    """

    address: str
    homes: dict[str, str] = field(default_factory=dict)
    busy: bool = False


@dataclass(slots=True)
class Travellers:
    """All of them; shared by the desks of all regions.

    Attributes:
        to_ask: who can be looked for, and by which region.
    """

    everybody: list[Traveller] = field(default_factory=list)
    to_ask: list[tuple[str, Traveller]] = field(default_factory=list)

    def come(self, region: str, rng: random.Random) -> Traveller:
        """Somebody who comes to a region: known in another one, or in none yet."""
        known = [
            each
            for each in self.everybody
            if not each.busy and len(each.homes) == 1 and region not in each.homes
        ]
        if known and rng.random() < 0.7:
            found = rng.choice(known)
        else:
            found = Traveller(f"+38067{len(self.everybody):07d}")
            self.everybody.append(found)
        found.busy = True
        return found

    def settle(self, traveller: Traveller, region: str, person_id: str) -> None:
        """They are registered there."""
        traveller.busy = False
        traveller.homes[region] = person_id
        if len(traveller.homes) > 1:
            self.to_ask.append((region, traveller))


class Finder:
    """Looks for people of one region in the others, and decides who is who."""

    def __init__(
        self, client: Client, region: str, travellers: Travellers, rng: random.Random
    ) -> None:
        self._client = client
        self._region = region
        self._travellers = travellers
        self._rng = rng

    async def act(self) -> None:
        """Look for somebody, or decide about somebody who was found."""
        await self._look()
        await self._decide()

    async def _look(self) -> None:
        mine = [each for each in self._travellers.to_ask if each[0] == self._region]
        if not mine:
            return
        self._travellers.to_ask.remove(mine[0])
        homes = dict(mine[0][1].homes)
        person = homes.pop(self._region)
        (other,) = homes
        body: Json = {"to_region": other}
        path = f"/persons/{person}:look-for"
        facts = {"person": person, "other": other, "theirs": homes[other]}
        await self._client.do("look_for", "intake", path, Role.CASEWORKER, body, **facts)

    async def _decide(self) -> None:
        """Mostly yes; some are refused, and some who were linked are parted."""
        parting = self._rng.random() < 0.1
        query = {} if parting else {"undecided": "true"}
        page = await self._client.get("intake", "/links", Role.CASEWORKER, query)
        found = [
            each
            for each in rows(page or {}, "links")
            if each["state"] == ("linked" if parting else "perhaps")
            and (parting or each["mine"] == "open")
        ]
        if not found:
            return
        link = text(self._rng.choice(found), "link_id")
        said = "refuse" if parting or self._rng.random() < 0.1 else "confirm"
        path = f"/links/{link}:{said}"
        await self._client.do(f"{said}_link", "intake", path, Role.CASEWORKER, {}, link=link)
