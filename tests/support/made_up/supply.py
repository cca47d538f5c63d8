"""Made-up sites, stock, places and reservations, as inventory shows them."""

from uuid import UUID

from support.made_up.basics import REGION, SHELTER, SMALL, WAREHOUSE, at, iso, number


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


def slot(name: str, begins: int, **more: object) -> dict[str, object]:
    """An hour of counseling in a small center, so many minutes from now."""
    return {
        "slot_id": str(number(f"slot {name}")),
        "site_id": str(SMALL),
        "code": "counseling",
        "professional": "psy-1",
        "starts_at": at(begins),
        "minutes": 50,
        "seats": 1,
        "taken": 0,
        "status": "open",
        **more,
    }


SLOTS = [
    slot("full", 90, taken=1),
    slot("free", 180),
    slot("off", 270, status="cancelled"),
    slot("group", 1500, code="group_session", professional="psy-2", minutes=90, seats=8, taken=3),
]


def beds() -> list[dict[str, object]]:
    """Two rooms of beds over 14 nights, some of them taken."""
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


def checked_out(name: str, *, by_clock: bool) -> dict[str, object]:
    """A stay that has ended, by the clock or because somebody said so."""
    return {
        "reservation_id": str(number(f"reservation {name}")), "need_id": str(number(name)),
        "site_id": str(SHELTER), "code": "shelter", "beds": [name], "from_on": iso(-4),
        "to_on": iso(-1), "by_clock": by_clock,
    }  # fmt: skip


def capacity() -> list[dict[str, object]]:
    """What is free by day, here and elsewhere."""

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
TOTALS = [
    {"item": "food_parcel", "free": 126},
    {"item": "hygiene_kit", "free": 0},
    {"item": "hiv_self_test", "free": 58},
]
SUPPLY = [
    {"code": "food_parcel", "free": 126,
     "sites": [{"site_id": str(WAREHOUSE), "free": 118}, {"site_id": str(SMALL), "free": 8}],
     "elsewhere": [{"region": "odesa", "free": 80, "as_of": at(-190)}]},
    {"code": "hygiene_kit", "free": 0, "sites": [],
     "elsewhere": [{"region": "lviv", "free": 260, "as_of": at(-4)}]},
    {"code": "shelter_night", "free": 2, "sites": [{"site_id": str(SHELTER), "free": 2}],
     "elsewhere": [{"region": "lviv", "free": 5, "as_of": at(-7)}]},
    {"code": "counseling", "free": 3, "sites": [{"site_id": str(SMALL), "free": 3}],
     "elsewhere": []},
]  # fmt: skip
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
EXPECTED = [
    {"purchase_id": str(number("purchase ordered")), "grant_id": str(number("qn")), "item": item,
     "ordered": ordered, "received": received, "unit_value_minor": 45_050, "currency": "UAH"}
    for item, ordered, received in (("food_parcel", 1_200, 400), ("laptop", 5, 0))
]  # fmt: skip
LOT = {
    **LOTS[0], "is_bought": False, "version": 3, "unit_value_minor": 45_050, "currency": "UAH",
    "restriction": {"programmes": ["food"], "areas": ["UA80", "UA8036"], "area_means": "origin",
                    "valid_to": iso(90), "cost_categories": ["goods"]},
}  # fmt: skip
LOTS_BOUGHT = [
    {"lot_id": str(number(f"lot bought {each}")), "receipt_id": str(number("receipt bought")),
     "purchase_id": str(number("purchase received")), "item": "laptop", "site_id": str(WAREHOUSE),
     "status": "available", "on_hand": on_hand, "held": None, "batch": batch, "expiry": None,
     "restriction": None, "is_bought": True, "version": 1, "unit_value_minor": value,
     "currency": "UAH"}
    for each, on_hand, batch, value in (("a", 2, "S-17", 2_250_000), ("b", 0, None, 2_100_000))
]  # fmt: skip
ASSETS = [
    {"asset_id": str(number(f"asset {status}")), "item": "laptop", "serial": serial,
     "grant_id": str(number("qn")), "unit_value_minor": 2_250_000, "currency": "UAH",
     "site_id": str(SMALL), "reservation_id": str(number("r")), "status": status,
     "status_reason": None if status == "in_use" else "theft", "since": iso(-30)}
    for status, serial in (("in_use", "SN-0017"), ("lost", None))
]  # fmt: skip
