"""Made-up goods between regions, as inventory shows them."""

from support.made_up.basics import REGION, WAREHOUSE, at, iso, number


def transfer(name: str, state: str, **more: object) -> dict[str, object]:
    """Goods that lviv asked this region for."""
    return {
        "transfer_id": str(number(f"ask {name}")), "from_region": REGION, "to_region": "lviv",
        "item": "food_parcel", "quantity": 20, "to_site_id": str(number("lviv site")),
        "area": "UA46", "reason": "waiting_needs", "state": state, "accepted": None,
        "answer_reason": None, "asked_at": at(-90), "by_rule": False, "sent": 0, "prepared": 0,
        **more,
    }  # fmt: skip


def line(name: str, **more: object) -> dict[str, object]:
    """Pieces of a lot."""
    return {
        "line_id": str(number(f"line {name}")), "lot_id": None, "item": "food_parcel",
        "quantity": 12, "batch": "b-7", "expiry": iso(200), "good": None, "damaged": None,
        "short": None, "surplus": None, "reason": None, **more,
    }  # fmt: skip


def shipment(name: str, state: str, **more: object) -> dict[str, object]:
    """Goods of this region that go to lviv."""
    return {
        "shipment_id": str(number(f"shipment {name}")), "from_region": REGION,
        "to_region": "lviv", "from_site_id": str(WAREHOUSE),
        "to_site_id": str(number("lviv site")), "transfer_id": None, "state": state,
        "dispatched_on": None if state == "preparing" else iso(-1), "by_manifest": False,
        "matched": True, "in_transit": 0 if state == "preparing" else 12, "lines": [line(name)],
        **more,
    }  # fmt: skip


TRANSFERS = [
    transfer("open", "asked"),
    transfer("yes", "accepted", accepted=12),
    transfer("no", "refused", answer_reason="own_needs"),
    transfer("gone", "withdrawn"),
    transfer("packed", "accepted", accepted=12, sent=5, prepared=7),
    transfer("sent", "accepted", accepted=12, sent=12, by_rule=True),
]
OWN_ASKS = [
    transfer("ours", "asked", from_region="lviv", to_region=REGION),
    transfer("promised", "accepted", from_region="lviv", to_region=REGION, accepted=20, sent=8,
             by_rule=True),
    transfer("not wanted", "withdrawn", from_region="lviv", to_region=REGION),
    transfer("came", "accepted", from_region="lviv", to_region=REGION, accepted=20, sent=20),
]  # fmt: skip
ASK_RULES = [
    {
        "rule_id": str(number("rule asks")), "item": "food_parcel", "to_site_id": str(WAREHOUSE),
        "regions": None, "open_max": 100, "set_at": at(-600), "set_by": str(number("me")),
    },
]  # fmt: skip
PROPOSALS = [
    {
        "item": item, "site_id": None, "area": area, "sensitive": False, "needs": 12,
        "waiting": 12, "from_region": "lviv", "quantity": 12, "free": 40, "as_of": at(-8),
        "link": {"state": "up", "since": at(-300)},
    }
    for item, area in (("food_parcel", "UA80"), ("soap_bar", "UA46"))
]  # fmt: skip
ACCEPT_RULES = [
    {
        "rule_id": str(number("rule parcels")), "item": "food_parcel", "site_id": str(WAREHOUSE),
        "regions": ["lviv"], "keep_pieces": 40, "keep_days": 7, "ask_max": 20, "week_max": 60,
        "given": 20, "set_at": at(-600), "set_by": str(number("me")),
    },
]  # fmt: skip
COUNTED = line("counted", good=9, damaged=2, short=1, surplus=0, reason="wet")
SHIPMENTS = [
    shipment("preparing", "preparing"),
    shipment("gone", "dispatched"),
    shipment(
        "coming", "receiving", from_region="lviv", to_region=REGION, matched=False,
        from_site_id=str(number("lviv site")), to_site_id=str(WAREHOUSE),
        lines=[COUNTED, line("coming")],
    ),
]  # fmt: skip
MANIFEST = {
    "texts": ["AIDMESH1:0", "AIDMESH1:1"],
    "images": [f'<svg width="9" height="9"><path d="M{n}"/></svg>' for n in (1, 2)],
}
