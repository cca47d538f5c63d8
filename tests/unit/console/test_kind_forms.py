"""What the forms of the catalogue mean: pure, so tried with many forms."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from aidmesh_console.clients import catalogue_views
from aidmesh_console.clients.kinds import KindBody, holds
from aidmesh_console.forms import Form
from aidmesh_console.pages.kind_forms import EMERGENCY_POINTS, kind_of, priced, unpriced
from aidmesh_intake.domain import triage
from aidmesh_intake.domain.kinds import Kind
from support.made_up.basics import whole_kind

NAMED = {"code": "winter_kit", "name_uk": "Набір", "name_en": "Kit", "name_de": "Paket",
         "programme": "food", "sensitivity": "none", "for_whom": "person"}  # fmt: skip
GOODS = {"item_0": "blanket", "pieces_0": "2"}
BED = {"resource": "bed", "place": "shelter"}
SLOT = {"resource": "slot", "place": "legal", "minutes": "45", "within_days": "21"}
MONEY = {"price": "1 200,50", "currency": "UAH", "price_from": "2024-05-01",
         "cost_category": "goods"}  # fmt: skip


def read(**fields: str) -> tuple[KindBody, dict[str, str]]:
    """What a form means, and its faults."""
    form = Form(FormData(list((NAMED | fields).items())))
    return kind_of(form), form.faults


def kind_from(**fields: str) -> Kind:
    """The kind of a form in which nothing is wrong, as intake takes it."""
    body, faults = read(**fields)
    assert faults == {}
    return Kind.model_validate(body)


def test_goods_with_a_limit() -> None:
    kind = kind_from(
        **GOODS, item_2="soap_bar", splittable="1", limit_count="1", limit_days="30",
        limit_per="household", auto_quantity="5", base_points="20", collect_days="3",
    )  # fmt: skip
    assert [(take.item, take.quantity) for take in kind.stock] == [("blanket", 2), ("soap_bar", 1)]
    (limit,) = kind.limits
    assert (limit.count, limit.days, limit.per, limit.kinds) == (1, 30, "household", ())
    assert (kind.splittable, kind.base_points, kind.collect_days) == (True, 20, 3)
    assert (kind.money, kind.capacity, kind.unit, kind.active) == (None, None, "piece", True)
    assert kind.auto_approve is not None
    assert kind.auto_approve.quantity_max == 5
    assert kind_from(**GOODS).auto_approve is None


def test_money_is_the_persons_where_it_is_all_there_is() -> None:
    aid = kind_from(**MONEY, amount_given="1", amount_max="5000", auto_quantity="1",
                    auto_amount="100")  # fmt: skip
    assert aid.money is not None
    (price,) = aid.money.prices
    assert (price.from_on, price.amount_minor, price.currency) == (date(2024, 5, 1), 120_050, "UAH")
    assert (aid.money.by, aid.money.amount_given, aid.money.amount_minor_max) == (
        "payout", True, 500_000,
    )  # fmt: skip
    assert aid.auto_approve is not None
    assert aid.auto_approve.amount_minor_max == 10_000
    assert aid.unit == "uah"
    for supplied in (GOODS, BED, SLOT):
        served = kind_from(**MONEY, **supplied)
        assert served.money is not None
        assert served.money.by == "provider"


def test_a_bed_by_night_and_a_slot_by_minutes() -> None:
    bed = kind_from(**BED, **MONEY, nights="7", by_night="1", minutes="45")
    assert bed.capacity is not None
    assert (bed.capacity.nights, bed.capacity.minutes, bed.unit) == (7, None, "night")
    assert bed.money is not None
    assert bed.money.per == "night"
    slot = kind_from(**SLOT, nights="7", confirmed_start="1")
    assert slot.capacity is not None
    assert (slot.capacity.within_days, slot.capacity.minutes, slot.capacity.nights) == (
        21,
        45,
        None,
    )
    assert (slot.unit, slot.confirmed_start) == ("minute", True)
    assert kind_from().unit == "session"


def test_a_new_programme_comes_before_one_of_the_list() -> None:
    assert kind_from(programme_new="winter_aid").programme == "winter_aid"
    assert read(programme="", programme_new="")[1] == {"programme": "missing"}
    assert read(programme_new="Winter aid")[1] == {"programme_new": "source"}


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"code": "Зима", "name_de": ""}, {"code": "source", "name_de": "missing"}),
        ({"for_whom": "everybody"}, {"for_whom": "missing"}),
        ({"sensitivity": "secret"}, {"sensitivity": "choice"}),
        ({**GOODS, "item_1": "blanket"}, {"item_1": "twice"}),
        ({**GOODS, "pieces_0": "10001"}, {"pieces_0": "too_large"}),
        ({"resource": "tent", "place": "x"}, {"resource": "choice"}),
        ({"resource": "bed", "place": ""}, {"place": "missing"}),
        ({**SLOT, "minutes": "1441"}, {"minutes": "too_large"}),
        ({**MONEY, "price": "much"}, {"price": "amount"}),
        ({**MONEY, "price_from": ""}, {"price_from": "missing"}),
        ({**MONEY, "cost_category": ""}, {"cost_category": "missing"}),
        ({**MONEY, "by_night": "1"}, {"by_night": "night_of_bed"}),
        ({**MONEY, **BED, "by_night": "1"}, {"nights": "missing"}),
        ({"limit_count": "1"}, {"limit_days": "missing", "limit_per": "missing"}),
        ({"splittable": "1"}, {"splittable": "goods_alone"}),
        ({**GOODS, **MONEY, "splittable": "1"}, {"splittable": "goods_alone"}),
        ({**GOODS, "confirmed_start": "1"}, {"confirmed_start": "start_after"}),
        ({**BED, "confirmed_start": "1"}, {"confirmed_start": "start_after"}),
        ({**MONEY, "confirmed_start": "1"}, {"confirmed_start": "start_after"}),
        ({"within_hours": "72", "base_points": "999"}, {"base_points": "before_all"}),
    ],
)
def test_what_does_not_go_together_is_named(fields: dict[str, str], faults: dict[str, str]) -> None:
    assert read(**fields)[1] == faults


def test_where_hours_count_it_comes_first() -> None:
    assert triage.EMERGENCY_POINTS == EMERGENCY_POINTS
    assert kind_from(within_hours="72", base_points="1000").within_hours == 72


_TICKS = ("splittable", "confirmed_start", "by_night", "amount_given", "headcount")
_NUMBERS = ("base_points", "within_hours", "collect_days", "nights", "minutes", "within_days",
            "auto_quantity", "limit_count", "pieces_0")  # fmt: skip


@given(
    parts=st.lists(st.sampled_from([GOODS, BED, SLOT, MONEY]), max_size=4),
    ticks=st.sets(st.sampled_from(_TICKS)),
    numbers=st.dictionaries(st.sampled_from(_NUMBERS), st.integers(0, 20_000)),
    limited=st.booleans(),
)
def test_what_the_desk_finds_right_intake_takes(
    parts: list[dict[str, str]], ticks: set[str], numbers: dict[str, int], *, limited: bool
) -> None:
    fields: dict[str, str] = {"limit_days": "30", "limit_per": "person"} if limited else {}
    for part in parts:
        fields |= part
    numbered = {name: str(each) for name, each in numbers.items()}
    body, faults = read(**(fields | dict.fromkeys(ticks, "1") | numbered))
    if not faults:
        Kind.model_validate(body)


PRICED: dict[str, Any] = whole_kind("shelter_outside")
"""Two prices: of March 2022 and of January 2024."""


def prices(kind: KindBody) -> list[tuple[str, int]]:
    """Days and amounts, as intake takes them."""
    money = Kind.model_validate(kind).money
    assert money is not None
    return [(price.from_on.isoformat(), price.amount_minor) for price in money.prices]


def test_a_price_is_added_by_its_day_and_replaces_one_of_the_same_day() -> None:
    between = priced(PRICED, date(2023, 5, 1), 65_000)
    assert prices(between) == [
        ("2022-03-01", 60_000), ("2023-05-01", 65_000), ("2024-01-01", 70_000),
    ]  # fmt: skip
    again = priced(between, date(2023, 5, 1), 66_000)
    assert prices(again)[1] == ("2023-05-01", 66_000)
    assert priced(again, date(2023, 5, 1), 66_000) == again
    assert prices(unpriced(again, date(2023, 5, 1))) == [
        ("2022-03-01", 60_000), ("2024-01-01", 70_000),
    ]  # fmt: skip


def test_the_only_price_stays_and_so_does_its_currency() -> None:
    one: dict[str, Any] = whole_kind("financial_aid")
    one["money"]["prices"] = [{"from_on": "2024-01-01", "amount_minor": 5_000, "currency": "EUR"}]
    assert prices(unpriced(one, date(2024, 1, 1))) == [("2024-01-01", 5_000)]
    money = Kind.model_validate(priced(one, date(2025, 1, 1), 6_000)).money
    assert money is not None
    assert [price.currency for price in money.prices] == ["EUR", "EUR"]


@pytest.mark.parametrize("day", ["2020-01-01", "2022-03-01", "2023-12-31", "2024-01-01"])
def test_the_desk_and_intake_know_the_same_price_of_a_day(day: str) -> None:
    body: dict[str, Any] = whole_kind("shelter_outside")
    body["money"]["prices"].reverse()
    ours, theirs = catalogue_views.Kind.model_validate(body).money, Kind.model_validate(body).money
    assert ours is not None
    assert theirs is not None
    found = ours.price_on(date.fromisoformat(day))
    assert found is not None
    assert found.amount_minor == theirs.price_on(date.fromisoformat(day)).amount_minor


def test_a_kind_holds_what_was_said_of_it_whatever_else_it_has() -> None:
    said, _ = read(**GOODS)
    found = Kind.model_validate(said).model_dump(mode="json")
    assert holds(found, said)
    assert not holds({**found, "programme": "cash"}, said)
    assert not holds({**found, "stock": []}, said)
    assert not holds({**found, "names": {**found["names"], "en": "Other"}}, said)
    assert not holds({name: each for name, each in found.items() if name != "limits"}, said)
