"""Desks: people ask for things, are told, come for them, change their minds."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from aidmesh.chaos.book import GOODS, Json, Op, Status, rows, text
from aidmesh.chaos.load.cases import Case, Region
from aidmesh.chaos.load.client import Client
from aidmesh.chaos.load.firsts import Firsts
from aidmesh.chaos.load.travellers import SHARE
from aidmesh_chassis.auth import Role

STEP_OF: Final = {"shelter_night": "check-in", "counseling": "attend"}
SCARCE: Final = ("shelter_night", "food_parcel")
CASH: Final = ("financial_aid", "travel")
KINDS: Final = (
    ("food_parcel", 5),
    ("hygiene_kit", 3),
    ("shelter_night", 4),
    ("counseling", 2),
    ("financial_aid", 2),
    ("travel", 3),
)
PAYEES: Final[dict[str, Json]] = {
    "financial_aid": {"mechanism": "cash", "legal_name": "Payee (synthetic)"},
    "travel": {
        "mechanism": "iban",
        "legal_name": "Payee (synthetic)",
        "iban": "UA213223130000026007233566001",
    },
}
"""Cash is paid where the person is, the other by the office that the grant names."""
ASKED_FIRST: Final = (("travel", "shelter_night"), ("shelter_night",), ("shelter_night",))
"""So that early in a run there is somebody to be paid elsewhere, and too few beds."""
NIGHTS_MAX: Final = 3


class Desk:
    """What one caseworker's client does."""

    def __init__(self, client: Client, region: Region, rng: random.Random, name: str) -> None:
        self._client = client
        self._region = region
        self._rng = rng
        self._name = name
        self._people = 0
        self._approvals = 0
        self._asked_first = list(ASKED_FIRST)
        self._firsts = Firsts(client, {"approve": self._approve_first, "refer": self._refer_first})

    async def begin(self) -> bool:
        """Begin what everybody does once, as soon as it can be; False once that is done."""
        if self._asked_first:
            await self.ask(self._asked_first.pop(0))
            return True
        return await self._firsts.act()

    async def ask(self, first: Sequence[str] = ()) -> None:
        """Register somebody who asks for one or two things.

        Args:
            first: what they ask for, who may be referred then; else it is drawn.
        """
        self._people += 1
        kinds = [kind for kind, _ in KINDS]
        weights = [1 if self._region.roomy and kind in SCARCE else weight for kind, weight in KINDS]
        drawn = self._rng.choices(kinds, weights, k=self._rng.choice((1, 2)))
        wanted = list(dict.fromkeys(first or drawn))
        if first:
            travels, agrees = None, True
        elif self._rng.random() < SHARE:
            travels, agrees = self._region.travellers.come(self._region.name, self._rng), False
        else:
            travels, agrees = None, self._rng.random() < 0.7
        amounts = [self._rng.randint(50_000, 300_000) for _ in wanted]
        needs = [self._need(kind, amount) for kind, amount in zip(wanted, amounts, strict=True)]
        body: Json = {
            "for_whom": "person",
            "person": self._person(agrees=agrees),
            "needs": needs,
        }
        if travels is not None:
            body["person"] = self._traveling(travels.address)
        op = await self._client.do("ask", "intake", "/requests", Role.CASEWORKER, body)
        if op.status is Status.ACCEPTED:
            person_id = text(op.answer, "person_id")
            if travels is not None:
                self._region.travellers.settle(travels, self._region.name, person_id)
                person_id = ""
            made = rows(op.answer, "needs")
            for need, amount in zip(made, amounts, strict=True):
                case = Case(text(need, "need_id"), text(need, "kind"), amount, agrees=agrees)
                case.person_id = person_id
                self._region.cases.append(case)

    def _person(self, *, agrees: bool) -> Json:
        code = f"{self._name}-{self._people}"
        day = self._region.today.isoformat()
        person: Json = {
            "client_code": code,
            "chosen_name": f"Person {code}",
            "area": self._region.area,
            "languages": ["uk"],
            "consents": {"contact": day, **({"referral": day} if agrees else {})},
        }
        if self._rng.random() < 0.7:
            person["contact"] = _contact(f"+38050{self._rng.randrange(10**7):07d}")
        return person

    def _traveling(self, address: str) -> Json:
        """Somebody who agrees to be looked for elsewhere, and is known by their telephone alone."""
        day = self._region.today.isoformat()
        return {
            "client_code": f"{self._name}-{self._people}",
            "area": self._region.area,
            "languages": ["uk"],
            "consents": {"contact": day, "same_person": day},
            "contact": _contact(address),
        }

    def _need(self, kind: str, amount_minor: int) -> Json:
        need: Json = {"kind": kind, "place_area": self._region.area}
        if kind == "shelter_night":
            nights = self._rng.randint(1, NIGHTS_MAX)
            need["from_on"] = self._region.today.isoformat()
            need["to_on"] = (self._region.today + timedelta(days=nights)).isoformat()
        elif kind in CASH:
            need["amount_minor"] = amount_minor
            need["payee"] = PAYEES[kind]
        return need

    async def go_on(self) -> None:
        """Take some need a step further."""
        case = self._region.take(self._rng)
        if case is None:
            return
        case.busy = True
        try:
            await self._step(case)
        finally:
            case.busy = False

    async def _step(self, case: Case) -> None:
        found = await self._client.get("intake", f"/needs/{case.need_id}", Role.CASEWORKER)
        state = "" if found is None else text(found, "state")
        if state:
            self._client.book.shown.see(self._region.name, "need", case.need_id, state)
        if state == "ready":
            await self._ready(case)
        elif state == "fulfilled" and case.issued:
            await self._served(case)
        elif state == "waitlisted":
            await self._waiting(case)
        elif state == "requested":  # its payment failed for good
            path = f"/needs/{case.need_id}:approve"
            self._settled(
                case, await self._client.do("decide", "intake", path, Role.CASEWORKER,
                                            need=case.need_id)
            )  # fmt: skip
        elif state in ("cancelled", "referred", "expired", "declined"):
            case.closed = True

    async def _ready(self, case: Case) -> None:
        chance = self._rng.random()
        if chance < 0.15:
            path = f"/needs/{case.need_id}:told"
            self._settled(
                case, await self._client.do("told", "intake", path, Role.CASEWORKER,
                                            need=case.need_id)
            )  # fmt: skip
        elif chance < 0.25 and not (case.issued or case.approved):
            await self._cancel(case)
        elif chance < 0.22 and case.kind == "travel":
            await self._cancel(case)  # its payment is asked back from whoever was to pay it
        elif chance < 0.35 and case.kind in CASH and case.approved and not case.corrected:
            await self._correct(case)
        elif case.kind in CASH:
            await self._approve(case)
        else:
            await self._issue(case)

    async def _cancel(self, case: Case) -> None:
        path = f"/needs/{case.need_id}:cancel"
        body: Json = {"reason": "not_needed"}
        op = await self._client.do(
            "cancel", "intake", path, Role.CASEWORKER, body, need=case.need_id
        )
        case.closed = op.status is not Status.REFUSED

    async def _issue(self, case: Case) -> None:
        path = f"/needs/{case.need_id}/reservation"
        held = await self._client.get("inventory", path, Role.CASEWORKER)
        if held is None or text(held, "state") != "confirmed":
            return
        case.reservation = text(held, "reservation_id")
        case.lots = " ".join(
            f"{each['lot_id']}:{each['quantity']}" for each in rows(held, "allocations")
        )
        step = STEP_OF.get(case.kind, "issue")
        path = f"/reservations/{case.reservation}:{step}"
        op = await self._client.do(
            "issue", "inventory", path, Role.CASEWORKER, {}, **self._facts(case)
        )
        self._settled(case, op)
        case.issued = op.status is Status.ACCEPTED

    def _facts(self, case: Case) -> dict[str, str]:
        return {
            "need": case.need_id,
            "reservation": case.reservation,
            "lots": case.lots,
        }

    async def _served(self, case: Case) -> None:
        """Undo what was a mistake, check a guest out, else leave it be."""
        chance = self._rng.random()
        at = f"/reservations/{case.reservation}"
        if chance < 0.2 and case.kind in GOODS:
            body: Json = {"reason": "wrong_person"}
            op = await self._client.do(
                "undo", "inventory", f"{at}:undo", Role.CASEWORKER, body, **self._facts(case)
            )
            self._settled(case, op)
            case.issued = op.status is not Status.ACCEPTED
        elif chance < 0.6 and case.kind == "shelter_night":
            body = {"left_on": self._region.today.isoformat()}
            facts = self._facts(case)
            await self._client.do(
                "check_out", "inventory", f"{at}:check-out", Role.CASEWORKER, body, **facts
            )
            case.closed = True
        elif chance > 0.6:
            case.closed = True

    async def _waiting(self, case: Case) -> None:
        chance = self._rng.random()
        if chance < 0.06 and not case.referred:
            await self._cancel(case)
        elif chance < 0.1:
            await self._choose(case)
        elif chance < 0.12 and case.person_id:
            await self._erase(case)
        elif chance < 0.5 and case.can_be_referred:
            await self._refer(case)

    async def _refer(self, case: Case) -> None:
        to = self._rng.choices(list(self._region.peers), self._region.rooms)[0]
        body: Json = {"to_region": to, "place_area": self._region.peers[to]}
        path = f"/needs/{case.need_id}:refer"
        op = await self._client.do(
            "refer", "intake", path, Role.CASEWORKER, body, need=case.need_id, to=to
        )
        case.referred = op.status is not Status.REFUSED

    async def _approve_first(self) -> None:
        """Have a payment approved that another office may have to make."""
        cases = [each for each in self._region.cases if each.kind == "travel"]
        await self._when("ready", [each for each in cases if not each.approved], self._approve)

    async def _refer_first(self) -> None:
        """Offer somebody who waits for a bed to another region."""
        cases = [each for each in self._region.cases if each.can_be_referred]
        await self._when("waitlisted", cases, self._refer)

    async def _when(
        self, state: str, cases: Sequence[Case], act: Callable[[Case], Awaitable[None]]
    ) -> None:
        """Do something about one of these cases that nobody is at, if it has come to that state."""
        free = [each for each in cases if not (each.busy or each.closed)]
        if not free:
            return
        case = self._rng.choice(free)
        case.busy = True
        try:
            path = f"/needs/{case.need_id}"
            found = await self._client.get("intake", path, Role.CASEWORKER)
            if found is not None and text(found, "state") == state:
                await act(case)
        finally:
            case.busy = False

    async def _erase(self, case: Case) -> None:
        """They want nothing kept of them here, wherever it has been sent meanwhile."""
        path = f"/persons/{case.person_id}:erase"
        op = await self._client.do("erase", "intake", path, Role.LEAD, {}, person=case.person_id)
        if op.status is not Status.REFUSED:
            for each in self._region.cases:
                if each.person_id == case.person_id:
                    each.closed = True

    async def _choose(self, case: Case) -> None:
        """Have it served from elsewhere by rule; a few are left to people again, for good."""
        if case.chosen == "no":
            return
        what = "unchoose" if case.chosen == "yes" else "choose"
        path = f"/needs/{case.need_id}:{what}"
        op = await self._client.do(what, "intake", path, Role.CASEWORKER, {}, need=case.need_id)
        if op.status is Status.UNKNOWN:
            case.chosen = "no"  # which of two words was the last nobody could tell
        elif op.status is Status.ACCEPTED:
            case.chosen = "no" if what == "unchoose" else "yes"

    async def _approve(self, case: Case) -> None:
        """Have a payment approved; whoever pays does so at another desk."""
        if case.approved:
            return
        self._approvals += 1
        row: Json = {"row_id": f"{case.need_id}-{self._approvals}", "need_id": case.need_id}
        body: Json = {"source": self._name, "rows": [row]}
        op = await self._client.do(
            "approve", "payments", "/payouts:approve", Role.APPROVER, body, need=case.need_id
        )
        case.approved = op.status is not Status.REFUSED

    async def _correct(self, case: Case) -> None:
        """They are paid elsewhere: a payment that has not left is asked back and approved anew."""
        case.corrected = True
        body: Json = {**PAYEES[case.kind], "legal_name": "Another payee (synthetic)"}
        path = f"/needs/{case.need_id}:correct-payee"
        op = await self._client.do(
            "correct_payee", "intake", path, Role.CASEWORKER, body, need=case.need_id
        )
        if op.status is Status.ACCEPTED:
            case.approved = False
        self._settled(case, op)

    @staticmethod
    def _settled(case: Case, op: Op) -> None:
        """What may or may not have happened is left alone."""
        if op.status is Status.UNKNOWN:
            case.closed = True


def _contact(address: str) -> Json:
    return {
        "channel": "sms",
        "address": address,
        "hours_from": "00:00",
        "hours_to": "23:59",
        "wording": "neutral",
        "safe": True,
    }
