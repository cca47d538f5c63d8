"""Money that is to move between holders: proposed, signed, prepared, consented to, or by rule."""

import random
from typing import Final

from aidmesh.chaos.book import Json, Op, Status, rows, text
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import Firsts
from aidmesh_chassis.auth import Role

MOVED_MAX: Final = 50_000
OPEN_MAX: Final = 12
"""Proposals that stand at once; then the others are seen to first."""
RULES_MAX: Final = 2
KEPT_MINOR: Final = 30_000
MOVE_MAX_MINOR: Final = 400_000
WEEK_MAX_MINOR: Final = 1_500_000


class Proposer:
    """The grantor's side."""

    def __init__(self, client: Client, regions: list[str], rng: random.Random) -> None:
        self._client = client
        self._regions = regions
        self._rng = rng
        self._rules: list[str] = []
        self._firsts = Firsts(client, {"propose_move": self._propose, "sign_move": self._sign})

    async def act(self) -> None:
        """Propose something, sign for it, or take it back; or have a rule send money."""
        if await self._firsts.act():
            return
        made = await self._proposals()
        standing = [each for each in made if each["state"] == "proposed"]
        chance = self._rng.random()
        if chance < 0.07:
            await self._set_rule()
        elif chance < 0.1 and self._rules:
            await self._end_rule()
        elif chance < 0.12:
            await self._set_aside()
        elif chance < 0.3:
            await self._serve_who_waits()
        elif chance < 0.5 and len(standing) < OPEN_MAX:
            await self._propose()
        elif chance < 0.9 and _unsigned(made):
            await self._step("sign_move", "sign", _unsigned(made), Role.APPROVER)
        elif standing:
            await self._step("withdraw_move", "withdraw", standing, Role.FINANCE)

    async def _proposals(self) -> list[Json]:
        page = await self._client.get("payments", "/rebalancings", Role.FINANCE)
        return rows(page or {}, "rebalancings")

    async def _sign(self) -> None:
        unsigned = _unsigned(await self._proposals())
        if unsigned:
            await self._step("sign_move", "sign", unsigned, Role.APPROVER)

    async def _propose(self) -> None:
        page = await self._client.get("payments", "/allotments", Role.FINANCE)
        found = [each for each in rows(page or {}, "allotments") if each.get("status") == "active"]
        if not found:
            return
        allotment = self._rng.choice(found)
        holder, allotment_id = text(allotment, "holder"), text(allotment, "allotment_id")
        to = self._rng.choice([each for each in self._regions if each != holder])
        amount = self._rng.randint(100, MOVED_MAX)
        body: Json = {
            "allotment_id": allotment_id,
            "to_region": to,
            "amount_minor": amount,
            "reason": "more_needed_there",
        }
        facts = {"allotment": allotment_id, "holder": holder, "to": to}
        await self._do("propose_move", "/rebalancings", Role.FINANCE, body, **facts)

    async def _serve_who_waits(self) -> None:
        """Send what is proposed for those who wait for money, or ask its holder for it."""
        page = await self._client.get("payments", "/waits", Role.FINANCE)
        found = [
            (wait, offer) for wait in rows(page or {}, "waits") for offer in rows(wait, "offers")
        ]
        if not found:
            return
        wait, offer = self._rng.choice(found)
        amount = self._rng.randint(1, int(str(offer["amount_minor"])))
        to, allotment, holder = text(wait, "region"), text(offer, "allotment_id"), offer["holder"]
        body: Json = {
            "region": to,
            "programme": wait["programme"],
            "currency": wait["currency"],
            "grant_id": offer["grant_id"],
            "budget_line": offer["budget_line"],
            "allotment_id": allotment or None,
            "amount_minor": amount,
        }
        facts = {"to": to, "amount_minor": str(amount)}
        if holder is None:
            await self._do("serve_wait", "/waits:serve", Role.FINANCE, body, **facts)
        else:
            facts |= {"allotment": allotment, "holder": str(holder)}
            await self._do("propose_move", "/waits:serve", Role.FINANCE, body, **facts)

    async def _set_rule(self) -> None:
        """Of a few at once: each sends at most so much, to some of the regions."""
        if len(self._rules) >= RULES_MAX:
            return
        regions = sorted(self._rng.sample(self._regions, self._rng.randint(1, len(self._regions))))
        body: Json = {
            "currency": "UAH",
            "regions": regions,
            "keep_minor": KEPT_MINOR,
            "move_max_minor": MOVE_MAX_MINOR,
            "week_max_minor": WEEK_MAX_MINOR,
            "chosen_only": self._rng.random() < 0.3,
        }
        facts = {"regions": ",".join(regions), "move_max_minor": str(MOVE_MAX_MINOR)}
        op = await self._do("wait_rule", "/wait-rules", Role.LEAD, body, **facts)
        if op.status is Status.ACCEPTED:
            self._rules.append(text(op.answer, "rule_id"))

    async def _end_rule(self) -> None:
        rule = self._rules.pop(self._rng.randrange(len(self._rules)))
        await self._do("end_wait_rule", f"/wait-rules/{rule}:end", Role.LEAD, {}, rule=rule)

    async def _set_aside(self) -> None:
        page = await self._client.get("payments", "/waits", Role.FINANCE)
        found = rows(page or {}, "waits")
        if found:
            wait = self._rng.choice(found)
            body: Json = {each: wait[each] for each in ("region", "programme", "currency")}
            key = "/".join(str(each) for each in body.values())
            await self._do("aside_wait", "/waits:set-aside", Role.FINANCE, body, key=key)

    async def _step(self, what: str, verb: str, among: list[Json], role: Role) -> None:
        proposal = text(self._rng.choice(among), "id")
        await self._do(what, f"/rebalancings/{proposal}:{verb}", role, {}, proposal=proposal)

    async def _do(self, what: str, path: str, role: Role, body: Json, **facts: str) -> Op:
        return await self._client.do(what, "payments", path, role, body, **facts)


def _unsigned(made: list[Json]) -> list[Json]:
    """Proposals that a second person has not consented to, and may."""
    return [
        each
        for each in made
        if each["state"] in ("proposed", "returned") and each["signed_by"] is None
    ]


class Holder:
    """The side of whoever has the money."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self._tried: set[str] = set()

    async def act(self) -> None:
        """Prepare what is asked for, consent to it, or say no."""
        page = await self._client.get("payments", "/return-asks", Role.FINANCE)
        asks = rows(page or {}, "asks")
        prepared = [each for each in asks if each["state"] == "prepared"]
        asked = [
            each for each in asks if each["state"] == "asked" and each["id"] not in self._tried
        ]
        if prepared:
            await self._decide(self._rng.choice(prepared))
        elif asked:
            await self._prepare(self._rng.choice(asked))

    async def _prepare(self, ask: Json) -> None:
        """Once only: which of two sums counts nobody could tell."""
        proposal = text(ask, "id")
        self._tried.add(proposal)
        amount = int(str(ask["amount_minor"]))
        if self._rng.random() < 0.3:
            amount = self._rng.randint(1, amount)
        body: Json = {"amount_minor": amount}
        path = f"/return-asks/{proposal}:prepare"
        await self._do("prepare_move", path, Role.FINANCE, body, proposal=proposal)

    async def _decide(self, ask: Json) -> None:
        proposal = text(ask, "id")
        if self._rng.random() < 0.8:
            facts = {
                "proposal": proposal,
                "allotment": text(ask, "allotment_id"),
                "amount_minor": str(ask["prepared_minor"]),
            }
            path = f"/return-asks/{proposal}:consent"
            await self._do("consent_move", path, Role.APPROVER, {}, **facts)
        else:
            body: Json = {"reason": "needed_here"}
            path = f"/return-asks/{proposal}:decline"
            await self._do("decline_move", path, Role.FINANCE, body, proposal=proposal)

    async def _do(self, what: str, path: str, role: Role, body: Json, **facts: str) -> Op:
        return await self._client.do(what, "payments", path, role, body, **facts)
