"""What waits here and is free elsewhere: proposals taken by a person, and rules that do it."""

import random
from typing import Final

from aidmesh.chaos.book import Json, Op, Status, rows, text
from aidmesh.chaos.load.cases import Region
from aidmesh.chaos.load.client import Client
from aidmesh_chassis.auth import Role

ITEMS: Final = ("food_parcel", "hygiene_kit")
OPEN_MAX: Final = 6
"""Pieces that an ask rule may have on their way, and offers that a refer rule may have standing."""
WEEK_MAX: Final = 60
ASK_MAX: Final = 4
KEPT: Final = 3
RULES: Final = {
    "accept_rule": "/accept-rules",
    "ask_rule": "/ask-rules",
    "refer_rule": "/refer-rules",
}


FOR_CHOSEN: Final = ("ask_rule", "refer_rule")
CHOSEN_SHARE: Final = 0.3
"""Of the rules that may be for chosen needs alone."""


class Planner:
    """Whoever looks after what regions do for each other, in one of them."""

    def __init__(self, client: Client, region: Region, rng: random.Random) -> None:
        self._client = client
        self._region = region
        self._rng = rng
        self._rules: list[tuple[str, str]] = []

    async def act(self) -> None:
        """Do what is proposed, or have a rule do it from now on, or end one."""
        chance = self._rng.random()
        if chance < 0.37:
            await self._take_goods()
        elif chance < 0.4:
            await self._set_aside()
        elif chance < 0.7:
            await self._offer_places()
        elif chance < 0.9:
            await self._set_rule(self._rng.choice(list(RULES)))
        elif self._rules:
            await self._end_rule()

    async def _take_goods(self) -> None:
        page = await self._client.get("inventory", "/proposals", Role.LEAD)
        found = rows(page or {}, "rows")
        if not found:
            return
        proposal = self._rng.choice(found)
        item, quantity = text(proposal, "item"), str(proposal["quantity"])
        body: Json = {
            "item": item,
            "from_region": proposal["from_region"],
            "quantity": proposal["quantity"],
            "to_site_id": self._region.center,
        }
        await self._client.do(
            "ask_goods", "inventory", "/proposals:take", Role.LEAD, body,
            item=item, quantity=quantity,
        )  # fmt: skip

    async def _set_aside(self) -> None:
        page = await self._client.get("inventory", "/proposals", Role.LEAD)
        found = rows(page or {}, "rows")
        if found:
            proposal = self._rng.choice(found)
            body: Json = {each: proposal[each] for each in ("item", "from_region")}
            key = f"{body['from_region']}/{body['item']}"
            await self._do("aside_goods", "/proposals:set-aside", body, key=key)

    async def _offer_places(self) -> None:
        page = await self._client.get("intake", "/proposals", Role.LEAD)
        found = [
            (text(places, "to_region"), fit)
            for places in rows(page or {}, "rows")
            for fit in rows(places, "fits")
        ]
        if not found:
            return
        to, fit = self._rng.choice(found)
        need = text(fit, "need_id")
        case = next((each for each in self._region.cases if each.need_id == need), None)
        if case is None or case.busy or case.closed:
            return
        case.busy = True
        body: Json = {"to_region": to, "place_area": fit["area"], "site_id": fit["site_id"]}
        op = await self._client.do(
            "refer", "intake", f"/needs/{need}:refer", Role.CASEWORKER, body, need=need, to=to
        )
        case.referred = op.status is not Status.REFUSED
        case.busy = False

    async def _set_rule(self, kind: str) -> None:
        item = self._rng.choice(ITEMS)
        bodies: dict[str, Json] = {
            "accept_rule": {
                "item": item,
                "keep_pieces": KEPT,
                "ask_max": ASK_MAX,
                "week_max": WEEK_MAX,
            },
            "ask_rule": {
                "item": item,
                "to_site_id": self._region.center,
                "open_max": OPEN_MAX,
            },
            "refer_rule": {"kind": "shelter_night", "open_max": OPEN_MAX},
        }
        facts = {}
        if kind in FOR_CHOSEN and self._rng.random() < CHOSEN_SHARE:
            bodies[kind]["chosen_only"] = True
            facts["chosen_only"] = "yes"
        op = await self._do(kind, RULES[kind], bodies[kind], **facts)
        if op.status is Status.ACCEPTED:
            self._rules.append((kind, text(op.answer, "rule_id")))

    async def _end_rule(self) -> None:
        kind, rule = self._rules.pop(self._rng.randrange(len(self._rules)))
        await self._do(f"end_{kind}", f"{RULES[kind]}/{rule}:end", {}, rule=rule)

    async def _do(self, what: str, path: str, body: Json, **facts: str) -> Op:
        service = "intake" if "refer" in path else "inventory"
        return await self._client.do(what, service, path, Role.LEAD, body, **facts)
