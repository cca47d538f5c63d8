"""Grants of the year in EUR, USD and UAH: instalments, allotments, purchases and a cut."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from aidmesh.demo import facts
from aidmesh.demo.needs import Need
from aidmesh.demo.supply import Receipt
from aidmesh_intake.domain.asks import ask_of
from aidmesh_intake.domain.kinds import Kind

QUARTER_WEEKS = (1, 14, 27, 40)
BRIDGE_WEEK = 38
ROUND_MINOR = 100_000
"""Amounts are rounded up to a thousand."""

UNIT_VALUES: Mapping[str, int] = {
    "food_parcel": 64_000,
    "hygiene_kit": 38_500,
    "food_voucher": 80_000,
    "equipment_center": 1_250_000,
    "furniture_center": 980_000,
    "medicine": 31_000,
    "hormone_therapy": 92_000,
    "self_test": 21_000,
    "hiv_test": 9_500,
    "sti_test": 24_000,
    "condoms_lubricant": 4_200,
}
"""What a piece costs, by the kind that takes it, in kopiykas; others cost `UNIT_VALUE`."""
UNIT_VALUE = 25_000


@dataclass(frozen=True, slots=True)
class Terms:
    """A grant of the scenario.

    Attributes:
        kinds: what its money may pay for, None for anything.
        rates: kopiykas (or UAH) per unit of its currency, by quarter.
        cover: which part of its kinds' cost its instalments cover, by quarter.
    """

    code: str
    donor: str
    currency: str
    kinds: tuple[str, ...] | None
    rates: tuple[str, ...]
    cover: tuple[Fraction, ...]


HEALTH = (
    "counseling", "counseling_paid", "medical_care", "legal_advice", "hiv_test", "sti_test",
    "self_test", "condoms_lubricant", "prep_navigation", "pep_navigation", "hormone_therapy",
    "medicine", "medical_care_paid",
)  # fmt: skip
CENTERS = (*facts.CENTER_KINDS, *facts.EVENT_KINDS)
RELIEF = ("shelter_night", "shelter_outside", "food_parcel", "food_voucher", "hygiene_kit",
          "financial_aid", "rent_support", "travel")  # fmt: skip
CUT_GRANT = "health-2024"
OPEN_GRANT = "neighbors-2024"
_EUR = ("41.82", "42.05", "43.96", "45.31")
_USD = ("38.14", "39.22", "40.60", "41.24")

GRANTS: tuple[Terms, ...] = (
    Terms(
        "relief-2024", "Relief Fund Berlin (synthetic)", "EUR", RELIEF, _EUR,
        (Fraction(9, 10), Fraction(8, 10), Fraction(9, 10), Fraction(9, 10)),
    ),
    Terms(
        CUT_GRANT, "Prairie Health Foundation (synthetic)", "USD", HEALTH, _USD,
        (Fraction(1), Fraction(1), Fraction(6, 5), Fraction(0)),
    ),
    Terms(
        "centers-2024", "Safer Spaces Program (synthetic)", "EUR", CENTERS, _EUR,
        (Fraction(11, 10), Fraction(11, 10), Fraction(11, 10), Fraction(11, 10)),
    ),
    Terms(
        OPEN_GRANT, "Neighbors of Podil (synthetic)", "UAH", None, ("1", "1", "1", "1"),
        (Fraction(1, 10), Fraction(1, 10), Fraction(1, 5), Fraction(3, 10)),
    ),
)  # fmt: skip
# From its first day it stands in for the grant that was cut, and for what was short before.
BRIDGE = Terms(
    "bridge-2024",
    "Bridge Appeal Vienna (synthetic)",
    "EUR",
    None,
    _EUR,
    (Fraction(0), Fraction(0), Fraction(0), Fraction(3, 2)),
)


@dataclass(frozen=True, slots=True)
class Instalment:
    """Money of a donor that comes in, in the grant's currency."""

    week: int
    grant: str
    amount_minor: int
    currency: str
    received_on: date


@dataclass(frozen=True, slots=True)
class Allotment:
    """Money given to a region from a budget line: hryvnias it may spend."""

    week: int
    grant: str
    budget_line: str
    region: str
    amount_minor: int
    rate: str
    granted_minor: int


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """Goods ordered from a grant, a week before they come.

    Attributes:
        code: what receipts name; its lines of one grant are one order.
    """

    week: int
    region: str
    code: str
    grant: str
    programme: str
    item: str
    quantity: int
    unit_value_minor: int


@dataclass(frozen=True, slots=True)
class Money:
    """All of it. `amounts` are the grants' totals by code, `lines` by code and budget line."""

    amounts: Mapping[str, int]
    lines: Mapping[tuple[str, str], int]
    instalments: tuple[Instalment, ...]
    allotments: tuple[Allotment, ...]
    purchases: tuple[PurchaseLine, ...]


def quarter_of(week: int) -> int:
    """0 to 3."""
    return sum(1 for first in QUARTER_WEEKS if week >= first) - 1


def kind_of_item(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """The first kind of the scenario that takes each item."""
    found: dict[str, str] = {}
    for code in (*(k.code for k in facts.KINDS), *facts.CENTER_KINDS):
        for line in kinds[code].stock:
            found.setdefault(line.item, code)
    return found


def plan_money(
    kinds: Mapping[str, Kind],
    needs: Sequence[Need],
    receipts: Sequence[Receipt],
    regions: Mapping[str, str],
) -> Money:
    """Grants that cover the year: tight in spring, cut in autumn, enough in the end."""
    purchases = _purchases(kinds, receipts)
    aid = _cost_of_aid(kinds, needs, regions)
    goods: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for line in purchases:
        goods[line.region, line.grant][quarter_of(line.week)] += (
            line.quantity * line.unit_value_minor
        )
    allotments: list[Allotment] = []
    for terms in (*GRANTS, BRIDGE):
        for region in dict.fromkeys(regions.values()):
            for quarter in range(4):
                allotments += _allotments(terms, region, quarter, aid, goods)
    instalments = _instalments(allotments)
    amounts: Counter[str] = Counter()
    lines: Counter[tuple[str, str]] = Counter()
    for instalment in instalments:
        amounts[instalment.grant] += instalment.amount_minor
    for allotment in allotments:
        lines[allotment.grant, allotment.budget_line] += allotment.granted_minor
    # What was pledged for the last quarter, and never came.
    amounts[CUT_GRANT] += amounts[CUT_GRANT] // 3
    allotments.sort(key=lambda a: (a.week, a.grant, a.region, a.budget_line))
    return Money(amounts, lines, tuple(instalments), tuple(allotments), tuple(purchases))


def _cost_of_aid(
    kinds: Mapping[str, Kind], needs: Sequence[Need], regions: Mapping[str, str]
) -> dict[tuple[str, str], Counter[int]]:
    """Kopiykas by region and kind, by quarter."""
    cost: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for need in needs:
        kind = kinds[need.kind]
        if kind.money is None or need.fate != "served":
            continue
        ask = ask_of(kind, need.quantity, need.asked_on, from_on=need.from_on, to_on=need.to_on)
        if ask.money is not None:
            region = regions[need.home_area]
            cost[region, need.kind][quarter_of(need.week)] += ask.money.amount_minor
    return cost


def _purchases(kinds: Mapping[str, Kind], receipts: Sequence[Receipt]) -> list[PurchaseLine]:
    of_item = kind_of_item(kinds)
    total: Counter[tuple[int, str, str, str, str, str]] = Counter()
    for receipt in receipts:
        if receipt.purchase:
            kind = of_item[receipt.item]
            grant = next(t.code for t in GRANTS if t.kinds is not None and kind in t.kinds)
            week = receipt.week - 1
            if grant == CUT_GRANT and week >= facts.CUT_WEEK - 2:
                grant = OPEN_GRANT if week < BRIDGE_WEEK else BRIDGE.code
            programme = kinds[kind].programme
            total[week, receipt.region, receipt.purchase, grant, programme, receipt.item] += (
                receipt.quantity
            )
    return [
        PurchaseLine(*key, quantity, UNIT_VALUES.get(of_item[key[-1]], UNIT_VALUE))
        for key, quantity in sorted(total.items())
    ]


def _allotments(
    terms: Terms,
    region: str,
    quarter: int,
    aid: Mapping[tuple[str, str], Counter[int]],
    goods: Mapping[tuple[str, str], Counter[int]],
) -> list[Allotment]:
    wanted = sum(
        by_quarter[quarter]
        for (where, kind), by_quarter in aid.items()
        if where == region and (terms.kinds is None or kind in terms.kinds)
    )
    cover = terms.cover[quarter]
    bought = goods.get((region, terms.code), Counter())[quarter]
    found = []
    for line, amount in (("aid", wanted * cover), ("goods", Fraction(bought))):
        rounded = -(-int(amount) // ROUND_MINOR) * ROUND_MINOR
        if rounded:
            rate = terms.rates[quarter]
            granted = -(-rounded * 100 // int(Fraction(rate) * 100))
            week = BRIDGE_WEEK if terms is BRIDGE else QUARTER_WEEKS[quarter]
            found.append(Allotment(week, terms.code, line, region, rounded, rate, granted))
    return found


def _instalments(allotments: Sequence[Allotment]) -> list[Instalment]:
    """What is allotted in a week has come in that week."""
    due: Counter[tuple[int, str]] = Counter()
    for allotment in allotments:
        due[allotment.week, allotment.grant] += allotment.granted_minor
    currency = {terms.code: terms.currency for terms in (*GRANTS, BRIDGE)}
    return [
        Instalment(
            week=week,
            grant=grant,
            amount_minor=-(-amount // ROUND_MINOR) * ROUND_MINOR,
            currency=currency[grant],
            received_on=facts.FIRST_DAY + timedelta(weeks=week - 1),
        )
        for (week, grant), amount in sorted(due.items())
    ]
