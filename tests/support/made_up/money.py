"""Made-up grants, purchases and payouts, as payments shows them."""

from support.made_up.basics import REGION, at, iso, number


def payout(name: str, state: str, minor: int) -> dict[str, object]:
    """A payout in a state, as payments shows it."""
    return {"id": str(number(name)), "need_id": str(number(f"need of {name}")),
            "amount_minor": minor, "currency": "UAH", "mechanism": "iban", "state": state,
            "recorded_at": at(-600), "settled_on": None, "review_due_at": None,
            "programme": "cash", "grant_code": "relief-2024", "budget_line": "aid"}  # fmt: skip


def paying_order(state: str) -> dict[str, object]:
    """What another region has this office pay, as payments shows it."""
    return {"id": str(number(f"order {state}")), "region": "lviv", "grant_code": "qn-2024",
            "amount_minor": 310_000, "currency": "UAH", "mechanism": "iban", "state": state,
            "recorded_at": at(-30)}  # fmt: skip


PAID_ALONE = payout("alone", "settled", 90_000) | {
    "settled_on": iso(-2), "review_due_at": at(7000)
}  # fmt: skip
UNPROVEN: list[dict[str, object]] = [
    {"id": str(number("doubtful payout")), "about": "payout", "since": at(-60),
     "need_id": str(number("need of doubtful payout")), "amount_minor": 360_000,
     "currency": "UAH", "mechanism": "cash", "state": "draft", "recorded_at": at(-600)},
    {"id": str(number("doubtful order")), "about": "order", "since": at(-59), "region": "lviv",
     "amount_minor": 120_000, "currency": "UAH", "mechanism": "iban", "state": "received",
     "recorded_at": at(-500)},
    {"id": str(number("sealed order")), "about": "order", "since": at(-58), "region": "lviv",
     "amount_minor": None, "currency": None, "mechanism": None, "state": "received",
     "recorded_at": at(-400)},
    {"id": str(number("purchase ordered")), "about": "purchase", "since": at(-57),
     "supplier": "Харківський склад", "amount_minor": 990_000, "currency": "UAH",
     "mechanism": None, "state": "ordered", "recorded_at": at(-300)},
]  # fmt: skip
BILLS: list[dict[str, object]] = [
    {"id": str(number("hotel bill")), "commitment_id": str(number("hotel")),
     "need_id": str(number("hotel need")), "amount_minor": 3_900_000, "committed_minor": 300_000,
     "currency": "UAH", "state": "spent", "grant_code": "qn-2024", "reason": "bill",
     "biller": str(number("biller")), "recorded_at": at(-300)},
    {"id": str(number("clinic bill")), "commitment_id": str(number("clinic")),
     "need_id": str(number("clinic need")), "amount_minor": 2_000_000, "committed_minor": 100_000,
     "currency": "UAH", "state": "committed", "grant_code": None, "reason": "bill",
     "biller": str(number("biller")), "recorded_at": at(-200)},
]  # fmt: skip
OF_HOTEL_NEED: dict[str, object] = {
    "commitments": [
        {"id": str(number("hotel")), "amount_minor": 300_000, "currency": "UAH",
         "purpose": "provider", "state": "spent", "spent_on": "2024-03-01",
         "grant_code": "qn-2024"},
        {"id": str(number("cash")), "amount_minor": 300_000, "currency": "UAH",
         "purpose": "payout", "state": "committed", "spent_on": None, "grant_code": "qn-2024"},
    ],
    "refused": None,
}  # fmt: skip
OUR_GRANTS: list[dict[str, object]] = [
        {"id": str(number("qn")), "code": "qn-2024", "donor": "Queere Nothilfe", "currency": "EUR",
         "status": "active", "amount_minor": 25_000_000, "received_minor": 15_000_000,
         "unallotted_minor": 2_000_000, "allotted_minor": 13_000_000, "in_transit_minor": 1_000_000,
         "shortfall_minor": 0, "refund_due_minor": 500_000, "refunded_minor": 100_000,
         "terms_version": 2, "holders": [
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
         "bank_reference": None},
        {"id": str(number("wrong")), "expected_minor": 1_500_000, "expected_on": iso(-179),
         "state": "reversed", "received_minor": 1_500_000, "received_on": iso(-178),
         "bank_reference": "QN-0", "reason": "entry_error"}],
    "amendments": [
        {"terms_version": 2, "amount_minor": 22_000_000, "period_to": iso(100),
         "reason": "лист донора від 3 травня", "recorded_at": at(-9000)}],
}  # fmt: skip
HOLDINGS = [
    {"allotment_id": str(number("purse")), "grant_code": "qn-2024", "budget_line": "aid",
     "grantor": "kyiv", "holder": "kyiv", "currency": "UAH", "status": "active",
     "received_minor": 310_000_000, "free_minor": 88_000_000, "as_of": at(0)},
    {"allotment_id": str(number("purse lviv")), "grant_code": "qn-2024", "budget_line": "aid",
     "grantor": "kyiv", "holder": "lviv", "currency": "UAH", "status": "active",
     "received_minor": 180_000_000, "free_minor": 147_499_950, "as_of": at(-11)},
]  # fmt: skip
REBALANCINGS = [
    {"id": str(number(f"move {name}")), "grant_id": str(number("qn")), "grant_code": "qn-2024",
     "budget_line": "aid", "allotment_id": str(number("purse lviv")), "holder": "lviv",
     "to_region": "kyiv", "amount_minor": 30_000_000, "currency": "UAH",
     "reason": "waiting_needs", "proposed_by": str(number("maker")), "signed_by": None,
     "prepared_minor": None, "answer_reason": None, "returned_minor": None, "hindrance": None,
     "lapses_at": at(20_000), "proposed_at": at(-300), "is_overdue": False, "arrived": False,
     **more}
    for name, more in (
        ("proposed", {"state": "proposed"}),
        ("overdue", {"state": "proposed", "is_overdue": True, "proposed_by": None}),
        ("hindered", {"state": "returned", "returned_minor": 20_000_000,
                      "signed_by": str(number("checker")), "hindrance": "grant-not-active"}),
        ("moved", {"state": "moved", "returned_minor": 20_000_000, "arrived": True,
                   "signed_by": str(number("checker"))}),
        ("declined", {"state": "declined", "answer_reason": "needed_here"}),
    )
]  # fmt: skip
WAITS = [
    {"region": "lviv", "programme": "cash", "currency": "UAH", "amount_minor": 12_340_000,
     "coming_minor": 1_000_000, "as_of": at(-3),
     "link": {"state": "up", "since": at(-500)},
     "offers": [
         {"grant_id": str(number("qn")), "grant_code": "qn-2024", "budget_line": "aid",
          "allotment_id": None, "holder": None, "amount_minor": 9_000_000,
          "free_minor": 9_000_000, "is_plain": True},
         {"grant_id": str(number("qn")), "grant_code": "qn-2024", "budget_line": "aid",
          "allotment_id": str(number("purse")), "holder": "kyiv", "amount_minor": 2_340_000,
          "free_minor": 88_000_000, "is_plain": False}]},
    {"region": "kyiv", "programme": "shelter", "currency": "EUR", "amount_minor": 50_000,
     "coming_minor": 0, "as_of": at(0), "link": None, "offers": []},
]  # fmt: skip
WAIT_RULES = [
    {"rule_id": str(number("rule money")), "programme": None, "currency": "UAH",
     "regions": ["lviv"], "keep_minor": 100_000, "move_max_minor": 500_000,
     "week_max_minor": 2_000_000, "given_minor": 700_000},
]  # fmt: skip
RETURN_ASKS = [
    {"id": str(number(f"ask {name}")), "grant_code": "lv-1", "budget_line": "aid",
     "grantor": "lviv", "holder": "kyiv", "to_region": "odesa", "amount_minor": 5_000_000,
     "currency": "UAH", "reason": "unused_money", "told_state": "proposed",
     "prepared_minor": None, "prepared_by": None, "answer_reason": None,
     "free_minor": 4_000_000, "lapses_at": at(20_000), "booked": False, **more}
    for name, more in (
        ("asked", {"state": "asked"}),
        ("prepared", {"state": "prepared", "prepared_minor": 3_000_000,
                      "prepared_by": str(number("maker"))}),
        ("returned", {"state": "returned", "prepared_minor": 3_000_000, "booked": True}),
        ("for us", {"state": None, "holder": "odesa", "to_region": "kyiv"}),
    )
]  # fmt: skip
PAYMENT_LIST = {
    "id": str(number("list")), "currency": "UAH", "mechanism": "iban", "payouts": 3,
    "total_minor": 360_000, "exported_at": at(-60),
}  # fmt: skip
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
             "unit_value_minor": 2_250_000,
             "received": 0 if state in {"draft", "cancelled"} else 2},
            {"line": 2, "item": None, "description": "Доставка", "quantity": 1,
             "unit_value_minor": 600_000, "received": 0}],
    }  # fmt: skip


MONEY_UNFIT = [
    {"id": str(number(f"unfit {about}")), "about": about, "need_id": str(number("parcel")),
     "programme": "cash", "amount_minor": 360_000, "currency": "UAH", "occurred_on": iso(-4),
     "opened_at": at(-4000)}
    for about in (
        "no_money", "late_service", "longer_stay", "outside_period", "paid_twice",
        "withdrawn_after_export",
    )
]  # fmt: skip
REQUESTS = [
    {"id": str(number("request over")), "grant_id": str(number("qn")), "reason": "Холодна зима",
     "maker": str(number("maker")), "asked_at": at(-300), "budget_line": "aid",
     "to_region": "lviv", "amount_minor": 4_000_000, "currency": "UAH"},
]  # fmt: skip
