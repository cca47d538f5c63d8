"""What the forms of the catalogue mean: the kinds of need that intake is sent. No I/O."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from pydantic import JsonValue

from aidmesh_console.clients.kinds import KindBody
from aidmesh_console.forms import Form
from aidmesh_console.i18n import LANGUAGES
from aidmesh_console.pages.common import CURRENCIES

SENSITIVITIES: Final = ("none", "health", "hiv", "legal", "violence")
FOR_WHOM: Final = ("person", "household", "group", "site")
RESOURCES: Final = ("bed", "slot")
LIMIT_PER: Final = ("person", "household")
ITEMS_MAX: Final = 3
"""How many items of goods a kind takes at most, as the form has room for."""
PIECES_MAX: Final = 10_000
NIGHTS_MAX: Final = 366
MINUTES_MAX: Final = 1_440
HOURS_MAX: Final = 1_440
POINTS_MAX: Final = 10_000
EMERGENCY_POINTS: Final = 1_000
"""From here on a need comes before everything else."""
LIMIT_DAYS_MAX: Final = 3_660
WITHIN_DAYS: Final = 14
COLLECT_DAYS: Final = 7


def kind_of(form: Form) -> KindBody:
    """A new kind of need; what is missing or makes no sense is in `form.faults`."""
    stock, capacity = _stock(form), _capacity(form)
    money = _money(form, capacity, is_supplied=bool(stock) or capacity is not None)
    body: dict[str, JsonValue] = {
        "code": form.code("code"),
        "names": {each: form.text(f"name_{each}", needed=True) for each in LANGUAGES},
        "programme": form.code("programme_new" if form.text("programme_new") else "programme"),
        "sensitivity": form.choice("sensitivity", SENSITIVITIES),
        "for_whom": [each for each in FOR_WHOM if each in form.many("for_whom")],
        "headcount": form.checked("headcount"),
        "stock": stock,
        "capacity": capacity,
        "money": money,
        "limits": _limits(form),
        "auto_approve": _auto_approve(form, money),
        "base_points": up_to(form, "base_points", POINTS_MAX, least=0) or 0,
        "within_hours": up_to(form, "within_hours", HOURS_MAX),
        "collect_days": up_to(form, "collect_days", NIGHTS_MAX) or COLLECT_DAYS,
        "unit": _unit(capacity, money, of_goods=bool(stock)),
        "confirmed_start": form.checked("confirmed_start"),
        "splittable": form.checked("splittable"),
        "active": True,
    }
    if not body["for_whom"]:
        form.faults["for_whom"] = "missing"
    _fit(form, body)
    return body


def priced(kind: KindBody, from_on: date, amount_minor: int) -> KindBody:
    """The kind with a price from a day on, in place of one that began on the same day."""
    money = kind.get("money")
    assert isinstance(money, dict)  # noqa: S101 - the page offers it for such kinds alone
    others = _but(money, from_on)
    price: dict[str, JsonValue] = {
        "from_on": from_on.isoformat(),
        "amount_minor": amount_minor,
        # What bounds an amount counts in the currency of the prices: it is one and stays.
        "currency": _prices(money)[-1].get("currency", "UAH"),
    }
    prices: list[JsonValue] = [*sorted([*others, price], key=lambda each: str(each["from_on"]))]
    return {**kind, "money": {**money, "prices": prices}}


def unpriced(kind: KindBody, from_on: date) -> KindBody:
    """The kind without the price that begins on a day; the only one it has stays."""
    money = kind.get("money")
    assert isinstance(money, dict)  # noqa: S101 - as above
    prices: list[JsonValue] = [*(_but(money, from_on) or _prices(money))]
    return {**kind, "money": {**money, "prices": prices}}


def up_to(form: Form, name: str, most: int, *, least: int = 1, needed: bool = False) -> int | None:
    """A whole number from `least` to `most`."""
    number = form.whole(name, needed=needed, least=least)
    if number is not None and number > most:
        form.faults[name] = "too_large"
        return None
    return number


def _stock(form: Form) -> list[JsonValue]:
    takes: list[JsonValue] = []
    seen: set[str] = set()
    for row in range(ITEMS_MAX):
        item = form.text(f"item_{row}")
        pieces = up_to(form, f"pieces_{row}", PIECES_MAX) or 1
        if item is None:
            continue
        if item in seen:
            form.faults[f"item_{row}"] = "twice"
        seen.add(item)
        takes.append({"item": item, "quantity": pieces})
    return takes


def _capacity(form: Form) -> dict[str, JsonValue] | None:
    resource = form.text("resource")
    if resource is None:
        return None
    if resource not in RESOURCES:
        form.faults["resource"] = "choice"
    code = form.code("place")
    nights = up_to(form, "nights", NIGHTS_MAX)
    within, minutes = up_to(form, "within_days", NIGHTS_MAX, least=0), None
    if resource == "slot":
        minutes, nights = up_to(form, "minutes", MINUTES_MAX), None
    return {
        "resource": resource,
        "code": code,
        "within_days": WITHIN_DAYS if within is None or resource == "bed" else within,
        "nights": nights,
        "minutes": minutes,
    }


def _money(
    form: Form, capacity: KindBody | None, *, is_supplied: bool
) -> dict[str, JsonValue] | None:
    if form.text("price") is None:
        return None
    currency = form.choice("currency", CURRENCIES) or "UAH"
    by_night = form.checked("by_night")
    if by_night and (capacity is None or capacity["resource"] != "bed"):
        form.faults["by_night"] = "night_of_bed"
    elif by_night and capacity is not None and capacity["nights"] is None:
        form.faults.setdefault("nights", "missing")
    from_on = form.day("price_from", needed=True)
    return {
        "prices": [
            {
                "from_on": from_on.isoformat() if from_on else None,
                "amount_minor": form.money("price", currency),
                "currency": currency,
            }
        ],
        "cost_category": form.code("cost_category"),
        # Whoever serves is paid for what inventory reports; a payout is itself the service.
        "by": "provider" if is_supplied else "payout",
        "per": "night" if by_night else "unit",
        "amount_given": form.checked("amount_given"),
        "amount_minor_max": form.money("amount_max", currency),
    }


def _limits(form: Form) -> list[JsonValue]:
    if form.text("limit_days") is None and form.text("limit_count") is None:
        return []
    return [
        {
            "per": form.choice("limit_per", LIMIT_PER),
            "count": form.whole("limit_count") or 1,
            "days": up_to(form, "limit_days", LIMIT_DAYS_MAX, needed=True),
        }
    ]


def _auto_approve(form: Form, money: KindBody | None) -> dict[str, JsonValue] | None:
    quantity = form.whole("auto_quantity")
    if quantity is None:
        return None
    currency = form.text("currency") if form.text("currency") in CURRENCIES else "UAH"
    amount = form.money("auto_amount", currency or "UAH") if money is not None else None
    return {"quantity_max": quantity, "amount_minor_max": amount}


def _unit(capacity: KindBody | None, money: KindBody | None, *, of_goods: bool) -> str:
    """What its quantity is reported in where intake itself records that it was served."""
    if capacity is not None:
        return "night" if capacity["resource"] == "bed" else "minute"
    if of_goods:
        return "piece"
    prices = _prices(money) if money is not None else ()
    return str(prices[0]["currency"]).lower() if prices else "session"


def _fit(form: Form, body: KindBody) -> None:
    """Note where the parts of a kind do not go together, in the words of intake's rules."""
    goods, capacity, money = body["stock"], body["capacity"], body["money"]
    of_bed = isinstance(capacity, dict) and capacity["resource"] == "bed"
    if body["splittable"] and (not goods or capacity is not None or money is not None):
        form.faults["splittable"] = "goods_alone"
    if body["confirmed_start"] and (goods or of_bed or (money is not None and capacity is None)):
        form.faults["confirmed_start"] = "start_after"
    points = body["base_points"]
    if body["within_hours"] is not None and isinstance(points, int) and points < EMERGENCY_POINTS:
        form.faults["base_points"] = "before_all"


def _prices(money: KindBody) -> Sequence[dict[str, JsonValue]]:
    prices = money.get("prices")
    assert isinstance(prices, list)  # noqa: S101 - it has one at least
    return [each for each in prices if isinstance(each, dict)]


def _but(money: KindBody, from_on: date) -> list[dict[str, JsonValue]]:
    return [each for each in _prices(money) if each.get("from_on") != from_on.isoformat()]
