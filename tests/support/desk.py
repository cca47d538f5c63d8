"""A desk with made-up services behind it: what its pages show without a running region."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid5

import httpx
from pydantic import TypeAdapter

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.service import Service
from aidmesh_console.app import build
from aidmesh_console.config import Settings

REGION = "kyiv"
SPACE = UUID("3f2a91c0-5b1e-4a77-9d3c-000000000000")
TODAY = datetime.now(UTC).date()
NOW = datetime.now(UTC)

Answer = tuple[int, object]


def number(name: str) -> UUID:
    """The same id for the same name, every time."""
    return uuid5(SPACE, name)


def iso(days: int = 0) -> str:
    """A day, so many days from today."""
    return (TODAY + timedelta(days=days)).isoformat()


def at(minutes: int) -> str:
    """A moment, so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


def problem(status: int, slug: str, **members: object) -> Answer:
    """A refusal as the services word it."""
    return status, {"type": f"urn:aidmesh:problem:{slug}", "title": slug, "status": status,
                    "detail": "", **members}  # fmt: skip


SHELTER, SMALL, WAREHOUSE = number("shelter"), number("small"), number("warehouse")


def kinds() -> list[dict[str, object]]:
    """The catalogue that comes with the product."""
    path = files("aidmesh_intake") / "catalogue.json"
    found: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def need(name: str, kind: str, state: str, **more: object) -> dict[str, object]:
    """A need as intake's lists show it."""
    return {
        "need_id": str(number(name)),
        "request_id": str(number(f"request {name}")),
        "kind": kind,
        "state": state,
        "band": "normal",
        "quantity": 1,
        "place_area": "UA80",
        "site_id": None,
        "at_site_id": None,
        "asked_on": iso(-3),
        "needed_by": None,
        "told_at": None,
        "message": None,
        "attention": None,
        **more,
    }


NEEDS = [
    need(
        "pep",
        "pep_navigation",
        "ready",
        band="emergency",
        asked_on=iso(),
        message="failed",
        needed_by=iso(2),
        needed_until=f"{iso(2)}T06:30:00Z",
    ),
    need("bed", "shelter_night", "waitlisted", band="urgent", needed_by=iso(2)),
    need(
        "parcel",
        "food_parcel",
        "ready",
        quantity=2,
        at_site_id=str(WAREHOUSE),
        message="no_safe_contact",
    ),
    need("aid", "financial_aid", "requested", band="raised"),
    need("talk", "counseling", "fulfilled", asked_on=iso(-20)),
    need("kit", "hygiene_kit", "waitlisted", attention="served_by_two_attempts"),
    need(
        "prep",
        "prep_navigation",
        "ready",
        confirmed_start=True,
        attended_on=iso(-1),
        told_at=at(-900),
        needed_by=iso(1),
        ends_soon=True,
    ),
]


def _merge(
    name: str, into: str, state: str = "proposed", by: str = "colleague"
) -> dict[str, object]:
    return {
        "merge_id": str(number(f"merge {name}")),
        "person_id": str(number(name)),
        "into_person_id": str(number(into)),
        "state": state,
        "proposed_by": str(number(by)),
        "proposed_at": at(-500),
        "decided_by": None,
    }


MERGES = [
    _merge("other", "person"),
    _merge("twin", "person", by="me"),
    _merge("behind", "person", "merged"),
]


def whole(row: Mapping[str, object]) -> dict[str, object]:
    """A need as intake shows one."""
    waits = row["state"] == "waitlisted"
    return {
        **row,
        "request_id": str(number("request")),
        "person_id": str(number("person")),
        "headcount": None,
        "ask": {"stock": [{"item": "food_parcel", "quantity": 2}]}
        if row["kind"] == "food_parcel"
        else {"money": {"amount_minor": 300_000, "currency": "UAH", "by": "payout"}}
        if row["kind"] == "financial_aid"
        else {},
        "blocked_by": {"resource": "bed", "code": "shelter"} if waits else None,
        "wait": "short" if waits else None,
        "ahead": 3 if waits else None,
        "served_on": iso(-1) if row["state"] == "fulfilled" else None,
        "given": False,
        "reason": None,
        "timeline": [
            {"at": at(-4000), "note": "requested", "detail": None},
            {
                "at": at(-3900),
                "note": "approved",
                "detail": None,
                "staff_id": str(number("colleague")),
                "overrode": "limit",
                "override_reason": "larger_household",
            },
            {"at": at(-3800), "note": "waitlisted", "detail": "stock:food_parcel"},
            {"at": at(-60), "note": "woken", "detail": None},
            {"at": at(-59), "note": "ready", "detail": None},
        ],
    }


def reservation(name: str, way: str, state: str = "confirmed", **more: object) -> dict[str, object]:
    """Something set aside, as inventory shows it."""
    return {
        "reservation_id": str(number(f"reservation {name}")),
        "need_id": str(number(name)),
        "way": way,
        "state": state,
        "site_id": str(WAREHOUSE),
        "collect_by": at(3000),
        "served_on": None,
        "allocations": [],
        "booking": None,
        **more,
    }


RESERVATIONS = [
    reservation("parcel", "handover", allocations=[
        {"lot_id": str(number("lot a")), "item": "food_parcel", "quantity": 1},
        {"lot_id": str(number("lot b")), "item": "food_parcel", "quantity": 1}]),
    reservation("guest", "check_in", site_id=str(SHELTER), booking={
        "resource": "bed", "code": "shelter", "from_on": iso(), "to_on": iso(4), "beds": ["2-A"],
        "places": 1}),
    reservation("laptops", "handover", to_site_id=str(SMALL), allocations=[
        {"lot_id": str(number("lot l")), "item": "laptop", "quantity": 2}]),
    reservation("visit", "attendance", site_id=str(SMALL), booking={
        "resource": "slot", "code": "counseling", "starts_at": at(90), "minutes": 50,
        "places": 1}),
]  # fmt: skip


def _beds() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for place in range(8):
        nights = ["free"] * 14
        bookings: list[dict[str, object]] = []
        if place % 3 != 2:
            stays = (place + 2) * 2
            state = "issued" if place % 2 == 0 else "confirmed"
            for night in range(min(stays, 14)):
                nights[night] = "occupied" if state == "issued" else "confirmed"
            bookings.append({
                "reservation_id": str(number(f"stay {place}")),
                "need_id": str(number(f"guest {place}")),
                "state": state, "from_on": iso(-2 if state == "issued" else 0),
                "to_on": iso(stays) if place else None, "left_on": None,
            })  # fmt: skip
        rows.append({
            "bed_id": str(number(f"bed {place}")), "label": f"{place // 4 + 1}-{'ABCD'[place % 4]}",
            "room": f"Кімната {place // 4 + 1}", "code": "shelter", "features": [],
            "outside": False, "status": "active", "nights": nights, "bookings": bookings,
        })  # fmt: skip
    rows[5]["nights"] = ["held"] + ["free"] * 13
    return rows


def _checked_out(name: str, *, by_clock: bool) -> dict[str, object]:
    return {
        "reservation_id": str(number(f"reservation {name}")), "need_id": str(number(name)),
        "site_id": str(SHELTER), "code": "shelter", "beds": [name], "from_on": iso(-4),
        "to_on": iso(-1), "by_clock": by_clock,
    }  # fmt: skip


def _capacity() -> list[dict[str, object]]:
    def row(region: str, site: UUID, area: str, free: list[int], total: int) -> dict[str, object]:
        return {"region": region, "site_id": str(site), "area": area, "resource": "bed",
                "code": "shelter", "first_on": iso(), "free_by_day": free, "total": total,
                "as_of": at(-7)}  # fmt: skip

    slots = row(REGION, SMALL, "UA80", [0, 2, 1], 6) | {"resource": "slot", "code": "counseling"}
    return [
        row(REGION, SHELTER, "UA80", [2, 2, 3, 4], 14),
        row(REGION, SMALL, "UA32", [0, 1, 1, 1], 6),
        row("lviv", number("lviv"), "UA46", [5, 5, 5, 5], 20),
        slots,
    ]


SITES = [
    {"site_id": str(SHELTER), "code": "kyiv-1", "name": "Притулок на Подолі", "area": "UA80",
     "site_type": "shelter", "status": "open"},
    {"site_id": str(SMALL), "code": "kyiv-2", "name": "Малий притулок", "area": "UA32",
     "site_type": "shelter", "status": "open"},
    {"site_id": str(WAREHOUSE), "code": "kyiv-w", "name": "Склад", "area": "UA80",
     "site_type": "warehouse", "status": "open"},
]  # fmt: skip
ITEMS = [
    {
        "code": code,
        "names": {"uk": uk, "en": en, "de": de},
        "unit": "piece",
        "tracking": "serial" if code == "laptop" else "lot",
    }
    for code, uk, en, de in (
        ("food_parcel", "Продуктовий набір", "Food parcel", "Lebensmittelpaket"),
        ("hygiene_kit", "Гігієнічний набір", "Hygiene kit", "Hygienepaket"),
        ("hiv_self_test", "Самотест на ВІЛ", "HIV self-test", "HIV-Selbsttest"),
        ("condom", "Презервативи", "Condoms", "Kondome"),
        ("laptop", "Ноутбук", "Laptop", "Laptop"),
    )
] + [
    {"code": "hormone_pack", "names": {"uk": "Гормони", "en": "Hormones", "de": "Hormone"},
     "unit": "piece", "prescription": True},
]  # fmt: skip
STOCK = {
    "own": [
        {"site_id": str(site), "area": "UA80", "item": item, "on_hand": on_hand, "held": held,
         "free": on_hand - held, "expiry": expiry, "as_of": at(-1)}
        for site, item, on_hand, held, expiry in (
            (WAREHOUSE, "food_parcel", 140, 22, iso(30)), (WAREHOUSE, "hygiene_kit", 6, 6, None),
            (SMALL, "food_parcel", 9, 1, iso(9)), (WAREHOUSE, "hiv_self_test", 58, 0, iso(200)),
            (WAREHOUSE, "condom", 4200, 0, iso(700)),
        )
    ],
    "others": [
        {"region": "lviv", "site_id": str(number("lviv w")), "area": "UA46", "item": "hygiene_kit",
         "on_hand": 300, "free": 260, "as_of": at(-4)},
        {"region": "odesa", "site_id": str(number("odesa w")), "area": "UA51",
         "item": "food_parcel", "on_hand": 80, "free": 80, "as_of": at(-190)},
    ],
}  # fmt: skip
DISCREPANCIES = [
    {"discrepancy_id": str(number("unfit")), "need_id": str(number("parcel")),
     "site_id": str(WAREHOUSE), "about": "stock", "code": "food_parcel", "quantity": 2,
     "why": "not_in_books", "status": "open", "opened_at": at(-90)},
]  # fmt: skip
LOTS = [
    {"lot_id": str(number("lot a")), "receipt_id": str(number("receipt a")),
     "item": "food_parcel", "site_id": str(WAREHOUSE),
     "status": "available", "on_hand": 60, "held": 10, "batch": "L-204", "expiry": iso(30)},
]  # fmt: skip


def _payout(name: str, state: str, minor: int) -> dict[str, object]:
    return {"id": str(number(name)), "need_id": str(number(f"need of {name}")),
            "amount_minor": minor, "currency": "UAH", "mechanism": "iban", "state": state,
            "recorded_at": at(-600), "settled_on": None, "review_due_at": None}  # fmt: skip


OUR_GRANTS: list[dict[str, object]] = [
        {"id": str(number("qn")), "code": "qn-2024", "donor": "Queere Nothilfe", "currency": "EUR",
         "status": "active", "amount_minor": 25_000_000, "received_minor": 15_000_000,
         "unallotted_minor": 2_000_000, "allotted_minor": 13_000_000, "in_transit_minor": 1_000_000,
         "shortfall_minor": 0, "holders": [
             {"holder": "kyiv", "currency": "UAH", "status": "active",
              "received_minor": 310_000_000, "held_minor": 2_000_000, "committed_minor": 40_000_000,
              "spent_minor": 180_000_000, "free_minor": 88_000_000, "in_transit_minor": 0,
              "as_of": at(0)},
             {"holder": "lviv", "currency": "UAH", "status": "active",
              "received_minor": 180_000_000, "held_minor": 0, "committed_minor": 12_500_050,
              "spent_minor": 20_000_000, "free_minor": 147_499_950, "in_transit_minor": 42_000_000,
              "as_of": at(-11)}]},
        {"id": str(number("us")), "code": "us-cash", "donor": "Rapid Fund", "currency": "USD",
         "status": "suspended", "amount_minor": 6_000_000, "received_minor": 3_000_000,
         "unallotted_minor": 0, "allotted_minor": 3_000_000, "in_transit_minor": 0,
         "shortfall_minor": 120_000, "holders": []},
    ]  # fmt: skip
GRANTS = {
    "region": REGION, "as_of": at(0), "grants": OUR_GRANTS,
    "others": [
        {"holder": "kyiv", "grant_code": "lv-1", "currency": "UAH", "status": "active",
         "received_minor": 500_000, "spent_minor": 100_000, "free_minor": 400_000,
         "as_of": at(-5)}],
    "next": None,
}  # fmt: skip
GRANT = {
    **OUR_GRANTS[0],
    "period_from": iso(-200), "period_to": iso(165), "paying_office": "kyiv",
    "budget_lines": [
        {"code": "aid", "amount_minor": 20_000_000, "allotted_minor": 12_000_000,
         "flexibility_percent": 10, "cost_categories": ["cash", "goods"]},
        {"code": "overhead", "amount_minor": 5_000_000, "allotted_minor": 1_000_000,
         "flexibility_percent": 0, "cost_categories": None}],
    "instalments": [
        {"id": str(number("first")), "expected_minor": 15_000_000, "expected_on": iso(-180),
         "state": "received", "received_minor": 15_000_000, "received_on": iso(-178),
         "bank_reference": "QN-1"},
        {"id": str(number("second")), "expected_minor": 10_000_000, "expected_on": iso(20),
         "state": "expected", "received_minor": None, "received_on": None,
         "bank_reference": None}],
}  # fmt: skip
HOLDINGS = [
    {"allotment_id": str(number("purse")), "grant_code": "qn-2024", "budget_line": "aid",
     "holder": "kyiv", "currency": "UAH", "status": "active", "received_minor": 310_000_000,
     "free_minor": 88_000_000, "as_of": at(0)},
]  # fmt: skip
PURCHASE_STATES = ("draft", "ordered", "received", "invoiced", "paid", "cancelled")


def purchase(state: str) -> dict[str, object]:
    """A purchase in a state, as payments shows it."""
    return {
        "id": str(number(f"purchase {state}")), "allotment_id": str(number("purse")),
        "supplier": "ТОВ «Меблі для центрів і притулків»", "cost_category": "equipment",
        "programme": "centers", "area": "UA80", "currency": "UAH", "amount_minor": 9_600_000,
        "state": state, "planned_on": iso(-3), "paid_on": iso(-1) if state == "paid" else None,
        "invoice_reference": "R-7" if state in {"invoiced", "paid"} else None,
        "corrections": [
            {"what": "bill", "amount_minor": 5, "reference": "R-6", "reason": "entry_error",
             "recorded_at": at(-9)}
        ] if state == "paid" else [],
        "bank_reference": "B-7" if state == "paid" else None,
        "lines": [
            {"line": 1, "item": "laptop", "description": "Ноутбук", "quantity": 4,
             "unit_value_minor": 2_250_000, "received": 2},
            {"line": 2, "item": None, "description": "Доставка", "quantity": 1,
             "unit_value_minor": 600_000, "received": 0}],
    }  # fmt: skip


MONEY_UNFIT = [
    {"id": str(number(f"unfit {about}")), "about": about, "need_id": str(number("parcel")),
     "programme": "cash", "amount_minor": 360_000, "currency": "UAH", "occurred_on": iso(-4),
     "opened_at": at(-4000)}
    for about in (
        "no_money", "late_service", "longer_stay", "paid_twice", "withdrawn_after_export"
    )
]  # fmt: skip
REQUESTS = [
    {"id": str(number("request over")), "grant_id": str(number("qn")), "reason": "Холодна зима",
     "maker": str(number("maker")), "asked_at": at(-300), "budget_line": "aid",
     "to_region": "lviv", "amount_minor": 4_000_000, "currency": "UAH"},
]  # fmt: skip
ASSETS = [
    {"asset_id": str(number(f"asset {status}")), "item": "laptop", "serial": serial,
     "grant_id": str(number("qn")), "unit_value_minor": 2_250_000, "currency": "UAH",
     "site_id": str(SMALL), "reservation_id": str(number("r")), "status": status,
     "status_reason": None if status == "in_use" else "theft", "since": iso(-30)}
    for status, serial in (("in_use", "SN-0017"), ("lost", None))
]  # fmt: skip


def _line(people: int, services: int, contacts: int = 0,
          **more: object) -> dict[str, object]:  # fmt: skip
    return {"kind": None, "area": None, "month": None, "grant_id": None, "people": people,
            "people_exact": True, "services": services, "contacts": contacts, "quantities": {},
            "amounts": {}, **more}  # fmt: skip


RESULT_LINES = {
    "kind": [_line(4120, 6120, kind="food_parcel"), _line(2011, 3300, kind="hygiene_kit"),
             _line(169, 214, kind="shelter_night"), _line(1880, 3020, kind="counseling"),
             _line(0, 220, 5400, kind="condoms_lubricant")],
    "area": [_line(7020, 11_000, 3000, area="UA80"), _line(3120, 5200, 900, area="UA46")],
    "month": [_line(1200, 1800, 400, month="2024-01"), _line(1311, 1900, 420, month="2024-02")],
    "grant": [_line(5000, 7000, grant_id=str(number("qn"))), _line(1200, 1500)],
}  # fmt: skip


@dataclass
class FakeRegion:
    """Answers for all services; what was posted or put is kept in `posts`.

    Attributes:
        answers: instead of the usual answer, by `METHOD path`.
        down: services that do not answer.
        queries: what the address of each of `posts` asked for.
    """

    posts: list[tuple[str, dict[str, object], Mapping[str, str]]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    gets: list[tuple[str, httpx.QueryParams]] = field(default_factory=list)
    queries: list[Mapping[str, str]] = field(default_factory=list)

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
            self.posts.append((path, body, dict(request.headers)))
            self.queries.append(dict(request.url.params))
        else:
            self.gets.append((path, request.url.params))
        known = self.answers.get(f"{request.method} {path}")
        status, content = known or self._usual(
            service, request.method, path, request.url.params, body
        )
        return httpx.Response(status, json=content)

    def _usual(
        self,
        service: str,
        method: str,
        path: str,
        asked: httpx.QueryParams,
        body: Mapping[str, object],
    ) -> Answer:
        if method in {"POST", "PUT"}:
            return _looked_up(body) if path == "/v1/reservations:lookup" else _posted(path)
        fixed = _fixed().get(path) or _fixed().get(f"{service}{path}")
        if path == "/v1/check-outs" and "left_since" in asked:
            return 200, {"rows": [_checked_out("2-C", by_clock=False)]}
        if fixed is not None:
            return 200, fixed
        if path == "/v1/needs":
            states = ["ready"] if "to_tell" in asked else asked.get_list("state")
            rows = [row for row in NEEDS if not states or row["state"] in states]
            return 200, {"needs": rows, "next": None}
        if found := re.fullmatch(r"/v1/needs/([0-9a-f-]{36})", path):
            return _one(found[1])
        if path == "/v1/merges":
            rows = MERGES if "person_id" in asked else MERGES[:2]
            return 200, {"merges": rows, "next": None}
        if path == "/v1/payouts":
            name = asked.get("state", "draft")
            rows = [_payout(f"{name} {each}", name, 240_000 + 36_050 * each) for each in range(3)]
            if name == "exported":
                rows[0]["mechanism"] = "cash"
            if name in {"rejected", "returned"}:
                rows = [rows[0] | {"reason": "AC04"}]
            return 200, {"payouts": rows, "next": None}
        if found := re.fullmatch(r"/v1/purchases/([0-9a-f-]{36})", path):
            rows = [purchase(state) for state in PURCHASE_STATES]
            one = [row for row in rows if row["id"] == found[1]]
            return (200, one[0]) if one else problem(404, "not-found")
        if path == "/v1/purchases":
            wanted = asked.get_list("state")
            states = [state for state in PURCHASE_STATES if state in wanted]
            return 200, {"purchases": [purchase(state) for state in states], "next": None}
        if path == "/v1/results":
            return 200, results(asked.get("by", "kind"))
        if path == "/v1/results/public":
            parts = results(asked.get("by", "kind"), apart=TOGETHER)["whole"]
            assert isinstance(parts, dict)
            return 200, {**parts, "provisional": False, "other": TOGETHER}
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


def _posted(path: str) -> Answer:
    if path == "/v1/persons:find":
        return 200, {"person_id": str(number("person"))}
    if path == "/v1/requests":
        made = {"need_id": str(number("parcel")), "kind": "food_parcel", "state": "approved"}
        return 201, {"request_id": str(number("request")), "person_id": None, "needs": [made]}
    if path == "/v1/purchases":
        return 201, {"purchase_id": str(number("purchase draft"))}
    if path == "/v1/allotments":
        return 201, {"allotment_id": str(number("purse")), "transfer_id": str(number("t"))}
    if path.startswith("/v1/payouts:"):
        return 200, {"rows": [{"row": 0, "status": "done", "problem": None}]}
    return 200, {"state": "done"}


def _one(need_id: str) -> Answer:
    for row in NEEDS:
        if row["need_id"] == need_id:
            return 200, whole(row)
    return problem(404, "not-found")


TOGETHER = {"people": 61, "services": 84, "contacts": 0, "left_out": True}


def results(by: str, apart: Mapping[str, object] | None = None) -> dict[str, object]:
    """Results of a period, for those who see everything or (`apart`) not all of it."""
    return {
        "whole": {
            "provisional": True,
            "regions": [{"region": "kyiv", "as_of": at(0)}, {"region": "lviv", "as_of": at(-25)}],
            "left_out": ["2024-03"],
            "lines": RESULT_LINES[by],
            "total": _line(14_385, 22_104, 5400) | {"people_exact": False},
            "apart": apart,
        },
    }


def _fixed() -> dict[str, object]:
    return {
        "/v1/kinds": {"kinds": kinds()},
        "/v1/needs-by-state": {"requested": 4, "ready": 12, "waitlisted": 31, "fulfilled": 820},
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
            "details": {"client_code": "КИ-0417", "chosen_name": "Саша", "contact": {
                "channel": "sms", "address": "+380 50 000 0000", "hours_from": "10:00",
                "hours_to": "18:00", "wording": "neutral", "safe": True}}},
        "/v1/sites": {"rows": SITES, "next": None},
        "/v1/items": {"rows": ITEMS, "next": None},
        "/v1/alerts": {"rows": [{"alert_id": str(number("alert")), "area": "UA46",
                                 "reason": "air_alert", "began_at": at(-40), "ended_at": None}]},
        "/v1/stock": STOCK,
        "inventory/v1/discrepancies": {"rows": DISCREPANCIES, "next": None},
        "payments/v1/discrepancies": {"discrepancies": MONEY_UNFIT, "next": None},
        "/v1/lots": {"rows": LOTS, "next": None},
        "/v1/capacity": {"rows": _capacity()},
        "/v1/beds": {"beds": _beds()},
        "/v1/check-outs": {
            "rows": [_checked_out("1-C", by_clock=True), _checked_out("1-D", by_clock=False)]
        },
        "/v1/reservations": {"rows": RESERVATIONS, "next": None},
        "/v1/grants/summary": GRANTS,
        f"/v1/grants/{number('qn')}": GRANT,
        "/v1/regions": {"region": REGION, "regions": [REGION, "lviv"]},
        "/v1/allotments": {"region": REGION, "allotments": HOLDINGS, "next": None},
        "/v1/allotment-requests": {"requests": REQUESTS, "next": None},
        "/v1/assets": {"rows": ASSETS, "next": None},
        "/v1/payouts/reviews": {"payouts": [_payout("alone", "settled", 90_000)
                                            | {"settled_on": iso(-2), "review_due_at": at(7000)}]},
        "/v1/grants": [{"grant_id": str(number("qn")), "code": "qn-2024"}],
        "/readyz": {"ready": True},
    }  # fmt: skip


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


def fake_desk(folder: Path, **settings: object) -> FakeDesk:
    """A desk of region kyiv whose services are made up; `folder` takes its keys."""
    keys_dir = folder / "keys"
    create_region_keys(keys_dir)
    region = FakeRegion()
    services = ("intake", "inventory", "payments", "notification", "reporting")
    urls = {f"{name}_url": f"http://{name}.test" for name in services}
    values = {"region": REGION, "keys_dir": keys_dir, "paste_token": True, **urls, **settings}
    service = build(Settings.model_validate(values), httpx.MockTransport(region))
    return FakeDesk(service, region, keys_dir)
