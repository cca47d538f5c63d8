"""A desk with made-up services behind it: what its pages show without a running region."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.service import Service
from aidmesh_console.app import build
from aidmesh_console.config import Settings
from support.made_up.basics import (
    REGION,
    Answer,
    at,
    iso,
    items_taken,
    kinds,
    number,
    problem,
    whole_kind,
)
from support.made_up.links import LOOKUPS, TWINS
from support.made_up.money import (
    BILLS,
    GRANT,
    GRANTS,
    HOLDINGS,
    MONEY_UNFIT,
    OF_HOTEL_NEED,
    PAID_ALONE,
    PAYMENT_LIST,
    PURCHASE_STATES,
    REBALANCINGS,
    REQUESTS,
    RETURN_ASKS,
    UNPROVEN,
    WAIT_RULES,
    WAITS,
    paying_order,
    payout,
    purchase,
)
from support.made_up.needs import MERGES, NEEDS, whole
from support.made_up.referrals import PLACES, REFER_RULES, REFERRALS, REFERRED
from support.made_up.results import MONTHS, public, results
from support.made_up.shipments import (
    ACCEPT_RULES,
    ASK_RULES,
    MANIFEST,
    OWN_ASKS,
    PROPOSALS,
    SHIPMENTS,
    TRANSFERS,
)
from support.made_up.standings import CONFLICTS, STANDINGS
from support.made_up.supply import (
    ASSETS,
    DISCREPANCIES,
    EXPECTED,
    ITEMS,
    LOT,
    LOTS,
    LOTS_BOUGHT,
    RESERVATIONS,
    SITES,
    SLOTS,
    STOCK,
    SUPPLY,
    TOTALS,
    beds,
    capacity,
    checked_out,
)
from support.visitor import Visitor


@dataclass
class FakeRegion:
    """Answers for all services; what was posted or put is kept in `posts`.

    Attributes:
        answers: instead of the usual answer, by `METHOD path`.
        down: services that do not answer.
        queries: what the address of each of `posts` asked for.
        more: the cursor of the next page of payouts, by `path?state`.
        lists: what a list is called and all its rows, by path: given page by page.
    """

    posts: list[tuple[str, dict[str, object], Mapping[str, str]]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    gets: list[tuple[str, httpx.QueryParams]] = field(default_factory=list)
    queries: list[Mapping[str, str]] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, Sequence[Mapping[str, object]]]] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """What a service would say."""
        service = request.url.host.split(".")[0]
        if service in self.down:
            raise httpx.ConnectTimeout("away", request=request)
        path = request.url.path
        body: dict[str, object] = {}
        if request.method in {"POST", "PUT"}:
            is_file = request.headers.get("content-type", "").startswith("multipart/")
            body = {"file": request.content} if is_file else json.loads(request.content or b"{}")
            if path == "/v1/supply:lookup":  # a question that is too long for an address
                self.gets.append((path, request.url.params))
            else:
                self.posts.append((path, body, dict(request.headers)))
                self.queries.append(dict(request.url.params))
        else:
            self.gets.append((path, request.url.params))
            if path in self.lists:
                return httpx.Response(200, json=self._page(path, request.url.params))
        known = self.answers.get(f"{request.method} {path}")
        status, content = known or self._usual(
            service, request.method, path, request.url.params, body
        )
        return httpx.Response(status, json=content)

    def _page(self, path: str, asked: httpx.QueryParams) -> dict[str, object]:
        name, every = self.lists[path]
        fields = ("item", "site_id") if path == "/v1/lots" else ()
        rows = [each for each in every if all(
            asked.get(name) in {None, each[name]} for name in fields)]  # fmt: skip
        begin = int(asked.get("after", "0"))
        end = begin + int(asked.get("limit", "50"))
        return {name: rows[begin:end], "next": str(end) if end < len(rows) else None}

    def _usual(
        self,
        service: str,
        method: str,
        path: str,
        asked: httpx.QueryParams,
        body: Mapping[str, object],
    ) -> Answer:
        if method in {"POST", "PUT"}:
            if path == "/v1/supply:lookup":
                return 200, {"rows": SUPPLY}
            return _looked_up(body) if path == "/v1/reservations:lookup" else _posted(path, body)
        if path == "/v1/transfers":
            return 200, {"rows": TRANSFERS if asked["direction"] == "out" else OWN_ASKS,
                         "next": self.more.get(f"{path}?{asked['direction']}")}  # fmt: skip
        fixed = _fixed().get(f"{service}{path}") or _fixed().get(path)
        if path == "/v1/check-outs" and "left_since" in asked:
            return 200, {"rows": [checked_out("2-C", by_clock=False)]}
        if fixed is not None:
            return 200, fixed
        if path == "/v1/needs-by-state":
            counts = {"requested": 4, "ready": 12, "waitlisted": 31, "fulfilled": 820}
            return 200, {state: counts[state] for state in asked.get_list("state")}
        if path == "/v1/needs":
            states = ["ready"] if "to_tell" in asked else asked.get_list("state")
            rows = [row for row in NEEDS if not states or row["state"] in states]
            return 200, {"needs": rows, "next": None}
        if found := re.fullmatch(r"/v1/needs/([0-9a-f-]{36})", path):
            return _one(found[1])
        if re.fullmatch(r"/v1/needs/[0-9a-f-]{36}/commitment", path):
            drawn = payout("of need", "approved", 300_000) | {"mechanism": "cash"}
            return 200, {"commitments": [], "refused": None, "payouts": [drawn]}
        if found := re.fullmatch(r"/v1/kinds/([a-z_]+)", path):
            known = any(each["code"] == found[1] for each in kinds())
            return (200, whole_kind(found[1])) if known else problem(404, "not-found")
        if path == "/v1/merges":
            rows = MERGES if "person_id" in asked else MERGES[:2]
            return 200, {"merges": rows, "next": None}
        if path == "/v1/payouts":
            name = asked.get("state", "draft")
            rows = [payout(f"{name} {each}", name, 240_000 + 36_050 * each) for each in range(3)]
            if name == "exported":
                rows[0]["mechanism"] = "cash"
            if name in {"rejected", "returned"}:
                rows = [rows[0] | {"reason": "AC04"}]
            return 200, {"payouts": rows, "next": self.more.get(f"{path}?{name}")}
        if path == "/v1/paying-orders":
            name = asked.get("state", "received")
            return 200, {"orders": [paying_order(name)], "next": self.more.get(f"{path}?{name}")}
        if found := re.fullmatch(r"/v1/purchases/([0-9a-f-]{36})", path):
            rows = [purchase(state) for state in PURCHASE_STATES]
            one = [row for row in rows if row["id"] == found[1]]
            return (200, one[0]) if one else problem(404, "not-found")
        if found := re.fullmatch(r"/v1/purchases/([0-9a-f-]{36})/(lots|lines)", path):
            of_purchase = LOTS_BOUGHT if found[2] == "lots" else EXPECTED
            return 200, {"rows": [row for row in of_purchase if row["purchase_id"] == found[1]],
                         "next": self.more.get(path)}  # fmt: skip
        if path == "/v1/purchases":
            wanted = asked.get_list("state")
            states = [state for state in PURCHASE_STATES if state in wanted]
            return 200, {"purchases": [purchase(state) for state in states], "next": None}
        if path == "/v1/results":
            return 200, results(asked.get("by", "kind"))
        if path == "/v1/results/public":
            return 200, public(asked.get("by", "kind"))
        return problem(404, "not-found")


def _looked_up(body: Mapping[str, object]) -> Answer:
    """What was asked for by id or by the first digits of a need's number; else the parcel."""
    ids = TypeAdapter(list[str])
    wanted = {
        each
        for key in ("need_ids", "reservation_ids")
        for each in ids.validate_python(body.get(key) or [])
    }
    digits = str(body.get("need_number") or "-").lower()
    rows = [
        row for row in RESERVATIONS
        if {str(row["need_id"]), str(row["reservation_id"])} & wanted
        or UUID(str(row["need_id"])).hex.startswith(digits)
    ]  # fmt: skip
    return 200, {"rows": rows}


def _posted(path: str, body: Mapping[str, object]) -> Answer:
    if path == "/v1/persons:find":
        return 200, {"person_id": str(number("person"))}
    if path == "/v1/requests":
        made = {"need_id": str(number("parcel")), "kind": "food_parcel", "state": "approved"}
        whose = str(number("person")) if {"person", "person_id"} & body.keys() else None
        return 201, {"request_id": str(number("request")), "person_id": whose, "needs": [made]}
    if path == "/v1/purchases":
        return 201, {"purchase_id": str(number("purchase draft"))}
    if path == "/v1/donors":
        return 201, {"donor_id": str(number("new donor"))}
    if path == "/v1/grants":
        return 201, {"grant_id": str(number("qn"))}
    if path == "/v1/allotments":
        return 201, {"allotment_id": str(number("purse")), "transfer_id": str(number("t"))}
    if path.startswith(("/v1/payouts:", "/v1/paying-orders:")):
        return 200, {"rows": [{"row": 0, "status": "done", "problem": None}]}
    return 200, {"state": "done"}


def _one(need_id: str) -> Answer:
    for row in NEEDS:
        if row["need_id"] == need_id:
            return 200, whole(row)
    return problem(404, "not-found")


@cache
def _fixed() -> dict[str, object]:
    return {
        "/v1/kinds": {"kinds": kinds(), "items": items_taken()},
        "/v1/donors": {"donors": [{"id": str(number("donor")), "name": "Gute Stiftung"}]},
        "/v1/rates": {"rates": [{"base": "EUR", "spending": "UAH", "rate": "48.1234",
                                 "rate_on": iso(-1), "source": "NBU"}]},
        "/v1/waitlist": {"waiting": [
            {"resource": "bed", "code": "shelter", "site_id": None, "area": "UA80", "needs": 21,
             "oldest_asked_on": iso(-9)},
            {"resource": "stock", "code": "hygiene_kit", "site_id": None, "area": "UA80",
             "needs": 10, "oldest_asked_on": iso(-4)}]},
        f"/v1/requests/{number('request')}": {
            "reasons": "shown",
            "needs": [
                {
                    "need_id": row["need_id"],
                    "kind": row["kind"],
                    "points": 95,
                    "kind_points": 20,
                    "rule_version": 1,
                }
                for row in NEEDS
            ],
            "answers": [
                {"answer": "violence_at_home", "yes": True, "points": 50},
                {"answer": "with_children", "yes": True, "points": 25},
                {"answer": "over_60", "yes": False, "points": 0},
            ],
            "answer_points": 75,
            "note": "Дзвонити <лише> вранці",
        },
        f"/v1/persons/{number('person')}": {
            "person_id": str(number("person")), "version": 3, "languages": ["uk"], "area": "UA80",
            "origin_area": "UA63", "consents": {"contact": iso(-3)},
            "household_id": str(number("household")),
            "household_ids": [str(number("household"))],
            "details": {"client_code": "КИ-0417", "chosen_name": "Саша", "contact": {
                "channel": "sms", "address": "+380 50 000 0000", "hours_from": "10:00",
                "hours_to": "18:00", "wording": "neutral", "safe": True}}},
        "/v1/months": {"months": MONTHS, "next": None},
        "/v1/sites": {"rows": SITES, "next": None},
        "/v1/items": {"rows": ITEMS, "next": None},
        "/v1/alerts": {"rows": [{"alert_id": str(number("alert")), "area": "UA46",
                                 "reason": "air_alert", "began_at": at(-40), "ended_at": None}]},
        "/v1/stock": STOCK,
        "/v1/stock/totals": {"rows": TOTALS, "next": None},
        "inventory/v1/discrepancies": {"rows": DISCREPANCIES, "next": None},
        "payments/v1/discrepancies": {"discrepancies": MONEY_UNFIT, "next": None},
        "/v1/purchases/expected": {"rows": EXPECTED, "next": None},
        "/v1/lots": {"rows": LOTS, "next": None},
        f"/v1/lots/{LOT['lot_id']}": LOT,
        "/v1/capacity": {"rows": capacity()},
        "/v1/beds": {"beds": beds()},
        "/v1/slots": {"rows": SLOTS, "next": None},
        "/v1/check-outs": {
            "rows": [checked_out("1-C", by_clock=True), checked_out("1-D", by_clock=False)]
        },
        "/v1/reservations": {"rows": RESERVATIONS, "next": None},
        "/v1/grants/summary": GRANTS,
        f"/v1/grants/{number('qn')}": GRANT,
        "/v1/regions": {"region": REGION, "regions": [REGION, "lviv"]},
        "/v1/allotments": {"region": REGION, "allotments": HOLDINGS, "next": None},
        "/v1/allotment-requests": {"requests": REQUESTS, "next": None},
        "/v1/rebalancings": {"rebalancings": REBALANCINGS, "next": None},
        "/v1/return-asks": {"asks": RETURN_ASKS, "next": None},
        "/v1/waits": {"waits": WAITS},
        "/v1/wait-rules": {"rules": WAIT_RULES},
        "/v1/payout-batches": {"batches": [PAYMENT_LIST], "next": None},
        "/v1/links": {"links": TWINS, "next": None},
        "/v1/lookups": {"regions": ["lviv", "odesa"], "lookups": LOOKUPS, "next": None},
        "/v1/referrals/out": {"referrals": REFERRED, "next": None},
        "/v1/referrals/in": {"referrals": REFERRALS, "next": None},
        "/v1/assets": {"rows": ASSETS, "next": None},
        "/v1/accept-rules": {"rows": ACCEPT_RULES},
        "/v1/ask-rules": {"rows": ASK_RULES},
        "/v1/refer-rules": {"rows": REFER_RULES},
        "inventory/v1/proposals": {"rows": PROPOSALS},
        "intake/v1/proposals": {"rows": PLACES},
        "/v1/shipments": {"rows": SHIPMENTS, "next": None},
        **{f"/v1/shipments/{each['shipment_id']}": each for each in SHIPMENTS},
        f"/v1/shipments/{number('shipment gone')}/manifest": MANIFEST,
        "/v1/unproven": {"unproven": UNPROVEN, "next": None},
        "/v1/bills": {"bills": BILLS, "next": None},
        f"/v1/needs/{number('hotel need')}/commitment": OF_HOTEL_NEED,
        "/v1/payouts/reviews": {"payouts": [PAID_ALONE]},
        "/v1/grants": {
            "grants": [{"grant_id": str(number("qn")), "code": "qn-2024"}],
            "next": None,
        },
        "/v1/standings": STANDINGS,
        "inventory/v1/conflicts": CONFLICTS,
        "/v1/conflicts": {"conflicts": [], "next": None},
        "/v1/channels": {"channels": ["email", "file"]},
        "/readyz": {"ready": True},
    }  # fmt: skip


def main_of(page: str) -> str:
    """A page without its foot, which carries a form that was sent to show it in other languages."""
    return page.split("<footer", maxsplit=1)[0]


@dataclass(frozen=True)
class FakeDesk:
    """A desk, what answers it, and its keys folder."""

    service: Service
    region: FakeRegion
    keys_dir: Path

    def token(self, roles: Iterable[Role], lifetime_s: int = 3600) -> str:
        """A token for somebody with these roles."""
        signer = KeyRing(self.keys_dir, [TOKENS]).token_signer()
        return issue_token(signer, number("me"), roles, REGION, datetime.now(UTC), lifetime_s)


SERVICES = ("intake", "inventory", "payments", "notification", "reporting")


def fake_desk(folder: Path, **settings: object) -> FakeDesk:
    """A desk of region kyiv whose services are made up; `folder` takes its keys."""
    keys_dir = folder / "keys"
    create_region_keys(keys_dir)
    region = FakeRegion()
    service = build(_settings(keys_dir, **settings), httpx.MockTransport(region))
    return FakeDesk(service, region, keys_dir)


@asynccontextmanager
async def at_desk(
    service: httpx.AsyncBaseTransport, keys_dir: Path, *roles: Role
) -> AsyncIterator[Visitor]:
    """Somebody with these roles at a desk of region kyiv that has one real service behind it."""
    desk = build(_settings(keys_dir), service)
    signer = KeyRing(keys_dir, [TOKENS]).token_signer()
    token = issue_token(signer, number("me"), roles, REGION, datetime.now(UTC), 3600)
    async with Visitor("http://desk.test", httpx.ASGITransport(desk.app)) as visitor:
        await visitor.send("/sign-in", "/sign-in", token=token)
        yield visitor


def _settings(keys_dir: Path, **settings: object) -> Settings:
    urls = {f"{name}_url": f"http://{name}.test" for name in SERVICES}
    values = {"region": REGION, "keys_dir": keys_dir, "paste_token": True, **urls, **settings}
    return Settings.model_validate(values)
