"""Which allotment pays: order, restrictions, and never more than there is."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, GrantId, NeedId
from aidmesh_contracts.restriction import UNRESTRICTED, Restriction, Use
from aidmesh_payments.domain.choosing import Ask, Purse, Refused, choose, rank

TODAY = date(2024, 6, 1)
restrictions = st.builds(
    Restriction,
    programmes=st.sampled_from([None, ("relief",), ("health",)]),
    areas=st.sampled_from([None, ("UA80",), ("UA46",)]),
    cost_categories=st.sampled_from([None, ("cash",)]),
    valid_from=st.sampled_from([None, TODAY - timedelta(days=2), TODAY + timedelta(days=2)]),
    valid_to=st.sampled_from([None, TODAY + timedelta(days=9), TODAY - timedelta(days=1)]),
)
purses = st.builds(
    Purse,
    allotment_id=st.uuids().map(AllotmentId),
    grant_id=st.just(GrantId(uuid4())),
    currency=st.sampled_from(["UAH", "EUR"]),
    free_minor=st.integers(0, 500),
    restriction=restrictions,
    name=st.tuples(st.sampled_from(["bridge", "relief"]), st.sampled_from(["aid", "goods"])),
    cost_categories=st.sampled_from([None, ("cash",), ("rent",)]),
    valid_until=st.sampled_from([None, TODAY, TODAY - timedelta(days=1)]),
    usable=st.booleans(),
)
uses = st.builds(
    Use,
    programme=st.sampled_from(["relief", "health"]),
    kind=st.just("financial_aid"),
    on=st.sampled_from([TODAY - timedelta(days=5), TODAY, TODAY + timedelta(days=5)]),
    service_area=st.sampled_from(["UA80", "UA46"]),
    cost_category=st.sampled_from(["cash", "rent"]),
)
asks = st.builds(
    Ask,
    need_id=st.uuids().map(NeedId),
    attempt_no=st.just(1),
    priority=st.integers(0, 3),
    asked_on=st.sampled_from([TODAY, TODAY - timedelta(days=3)]),
    queue_no=st.integers(0, 3),
    amount_minor=st.integers(1, 300),
    currency=st.sampled_from(["UAH", "EUR"]),
    use=uses,
)
many_purses = st.lists(purses, max_size=6, unique_by=lambda purse: purse.allotment_id)
many_asks = st.lists(asks, max_size=12, unique_by=lambda ask: ask.need_id)


@given(many_purses, many_asks)
def test_nothing_is_promised_twice_and_every_rule_holds(
    purses: list[Purse], asks: list[Ask]
) -> None:
    answers = choose(purses, asks, TODAY)
    assert len(answers) == len(asks)
    taken: Counter[UUID] = Counter()
    for ask in asks:
        answer = answers[ask.need_id, 1]
        if isinstance(answer, Refused):
            assert answer.blocked_by.code == f"{ask.use.programme}/{ask.currency}"
            assert answer.blocked_by.quantity == ask.amount_minor
        else:
            taken[answer.allotment_id] += ask.amount_minor
            assert answer.usable
            assert answer.currency == ask.currency
            assert answer.restriction.fits(ask.use)
            assert answer.cost_categories is None or ask.use.cost_category in answer.cost_categories
            assert answer.valid_until is None or answer.valid_until >= max(TODAY, ask.use.on)
    assert all(taken[purse.allotment_id] <= purse.free_minor for purse in purses)


@given(many_purses, many_asks)
def test_the_outcome_is_that_of_serving_one_by_one_in_rank_order(
    purses: list[Purse], asks: list[Ask]
) -> None:
    answers = choose(purses, asks, TODAY)
    free = {purse.allotment_id: purse.free_minor for purse in purses}
    for ask in rank(asks):
        will_do = [
            purse
            for purse in purses
            if purse.usable
            and purse.currency == ask.currency
            and purse.fits(ask.use, TODAY)
            and free[purse.allotment_id] >= ask.amount_minor
        ]
        answer = answers[ask.need_id, 1]
        if not will_do:
            assert isinstance(answer, Refused)
            continue
        best = min(
            will_do,
            key=lambda each: (each.ends_on, each.looseness, each.name, each.allotment_id),
        )
        assert answer == best
        free[best.allotment_id] -= ask.amount_minor


@given(many_purses, many_asks, st.randoms(use_true_random=False))
def test_the_order_of_a_batch_does_not_matter(
    purses: list[Purse], asks: list[Ask], random: object
) -> None:
    shuffled = sorted(asks, key=lambda ask: ask.need_id.int % 7)
    assert choose(purses, asks, TODAY) == choose(purses[::-1], shuffled, TODAY)


def _purse(number: int, **more: object) -> Purse:
    fields: dict[str, object] = {
        "allotment_id": AllotmentId(UUID(int=number)),
        "grant_id": GrantId(uuid4()),
        "currency": "UAH",
        "free_minor": 100,
        "restriction": UNRESTRICTED,
        "name": ("relief", "aid"),
    }
    return Purse(**{**fields, **more})  # type: ignore[arg-type]


def _ask(amount: int = 50) -> Ask:
    use = Use(programme="relief", kind="aid", on=TODAY, service_area="UA80", cost_category="cash")
    return Ask(NeedId(uuid4()), 1, 1, TODAY, 1, amount, "UAH", use)


def test_of_one_day_whose_need_was_recorded_first_gets_the_money() -> None:
    first, second = (replace(_ask(), queue_no=number) for number in (1, 2))
    older = replace(_ask(), queue_no=3, asked_on=TODAY - timedelta(days=1))
    urgent = replace(_ask(), queue_no=4, priority=2)
    asks = [second, older, first, urgent]
    assert rank(asks) == [urgent, older, first, second]
    answers = choose([_purse(1, free_minor=150)], asks, TODAY)
    assert [isinstance(answers[each.need_id, 1], Purse) for each in rank(asks)] == [
        True,
        True,
        True,
        False,
    ]


def test_what_ends_first_then_the_most_restricted_then_by_name() -> None:
    ask = _ask()
    late, soon = _purse(1), _purse(4, valid_until=TODAY)
    tight = _purse(3, restriction=Restriction(programmes=("relief",)))
    assert choose([late, tight, soon], [ask], TODAY)[ask.need_id, 1] == soon
    assert choose([late, tight], [ask], TODAY)[ask.need_id, 1] == tight
    named = _purse(9, name=("bridge", "aid"))
    assert choose([late, named], [ask], TODAY)[ask.need_id, 1] == named
    assert choose([_purse(2), late], [ask], TODAY)[ask.need_id, 1] == late


def test_refusals_say_why() -> None:
    ask = _ask(200)

    def reason(*purses: Purse) -> str:
        answer = choose(purses, [ask], TODAY)[ask.need_id, 1]
        assert isinstance(answer, Refused)
        return answer.reason

    health = Restriction(programmes=("health",))
    assert reason() == "short"
    assert reason(_purse(1)) == "short"
    assert reason(_purse(1, free_minor=900, usable=False)) == "recalled"
    assert reason(_purse(1, free_minor=900, restriction=health)) == "restricted"
    assert reason(_purse(1, free_minor=90, restriction=health)) == "short"


@given(st.dates(date(2024, 1, 1), date(2025, 12, 31)))
def test_each_year_is_borne_by_the_grant_of_that_year(on: date) -> None:
    years = {
        year: _purse(
            year, restriction=Restriction(valid_from=date(year, 1, 1), valid_to=date(year, 12, 31))
        )
        for year in (2024, 2025)
    }
    ask = _ask()
    ask = replace(ask, use=ask.use.model_copy(update={"on": on}))
    key = (ask.need_id, 1)
    assert choose(list(years.values()), [ask], on)[key] == years[on.year]
    other = choose([years[2024 + 2025 - on.year]], [ask], on)[key]
    assert isinstance(other, Refused)
    assert other.reason == "restricted"
