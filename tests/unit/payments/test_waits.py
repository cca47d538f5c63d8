"""What is proposed for those who wait for money is never more than waits, nor than there is."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain.money import to_grant_currency, worth_of
from aidmesh_payments.domain.waits import Key, Offer, Pool, Rule, Source, Wait, by_rule, propose

NOW = datetime(2024, 6, 1, tzinfo=UTC)
REGIONS = ("kyiv", "lviv", "odesa")
PROGRAMMES = ("cash", "travel")
GRANTS = [GrantId(UUID(int=no)) for no in (1, 2)]
LEAD = UUID(int=9)

amounts = st.integers(0, 900)
programmes = st.sampled_from([None, ("cash",), ("travel",), PROGRAMMES])


@st.composite
def waits(draw: st.DrawFn) -> list[Wait]:
    keys = draw(st.sets(st.tuples(st.sampled_from(REGIONS), st.sampled_from(PROGRAMMES),
                                  st.sampled_from(["UAH", "EUR"])), max_size=6))  # fmt: skip
    found = []
    for key in keys:
        amount = draw(st.integers(1, 900))
        found.append(Wait(*key, amount, 1, NOW, draw(st.integers(0, amount))))
    return found


@st.composite
def money(draw: st.DrawFn) -> tuple[list[Source], dict[Pool, int]]:
    sources: list[Source] = []
    pools: dict[Pool, int] = {}
    for grant in draw(st.lists(st.sampled_from(GRANTS), unique=True)):
        whole = (str(grant),)
        pools[whole] = draw(amounts)
        for line in draw(st.lists(st.sampled_from(["a", "b"]), unique=True)):
            room = (str(grant), line)
            pools[room] = draw(amounts)
            terms, plain = draw(programmes), draw(st.booleans())
            sources.append(Source(grant, line, "UAH", None, None, terms, plain, (whole, room)))
            if draw(st.booleans()):
                worth = Fraction(draw(st.integers(1, 50)), draw(st.integers(1, 50)))
                sources.append(
                    Source(grant, line, "EUR", None, None, terms, plain, (whole, room), worth)
                )
            for no, holder in enumerate(draw(st.lists(st.sampled_from(REGIONS), unique=True))):
                allotment = AllotmentId(UUID(int=100 * (GRANTS.index(grant) + 1) + 10 * no))
                pool = (str(allotment), line)
                pools[pool] = draw(amounts)
                sources.append(Source(grant, line, "UAH", holder, allotment, terms, plain, (pool,)))
    return sources, pools


@st.composite
def keyed(draw: st.DrawFn) -> dict[Key, int]:
    return draw(
        st.dictionaries(
            st.tuples(st.sampled_from(REGIONS), st.sampled_from(PROGRAMMES), st.just("UAH")),
            st.integers(1, 900),
            max_size=3,
        )
    )


def taken(offers: list[Offer]) -> Counter[Pool]:
    used: Counter[Pool] = Counter()
    for offer in offers:
        for pool in offer.source.pools:
            used[pool] += -int(-offer.amount_minor * offer.source.worth // 1)
    return used


@given(waits(), money(), keyed(), keyed())
def test_never_more_than_waits_nor_than_there_is(
    waiting: list[Wait],
    there: tuple[list[Source], dict[Pool, int]],
    coming: dict[Key, int],
    aside: dict[Key, int],
) -> None:
    sources, pools = there
    offers = propose(waiting, sources, pools, coming, aside)

    for_whom: Counter[Key] = Counter()
    for offer in offers:
        assert 0 < offer.amount_minor <= offer.free_minor
        assert offer.source.fits(offer.wait)
        assert offer.source.holder != offer.wait.region
        for_whom[offer.wait.key] += offer.amount_minor
    for wait in waiting:
        missing = wait.amount_minor - coming.get(wait.key, 0)
        assert for_whom[wait.key] <= max(0, missing)
        assert not for_whom[wait.key] or missing > aside.get(wait.key, 0)
    for pool, charged in taken(offers).items():
        assert charged <= pools[pool]


def test_what_was_set_aside_comes_again_once_it_is_more() -> None:
    wait = Wait("lviv", "cash", "UAH", 900, 1, NOW)
    source = Source(GRANTS[0], "a", "UAH", None, None, None, True, (("all",),))
    for aside, offered in ((901, []), (900, []), (899, [900])):
        offers = propose([wait], [source], {("all",): 1_000}, {}, {wait.key: aside})
        assert [each.amount_minor for each in offers] == offered


@given(waits(), money())
def test_nobody_is_left_waiting_beside_money_that_fits(
    waiting: list[Wait], there: tuple[list[Source], dict[Pool, int]]
) -> None:
    sources, pools = there
    offers = propose(waiting, sources, pools, {}, {})

    used = taken(offers)
    for wait in waiting:
        got = sum(offer.amount_minor for offer in offers if offer.wait is wait)
        if got < wait.amount_minor:
            for source in sources:
                left = min(pools[pool] - used[pool] for pool in source.pools)
                assert not source.fits(wait) or int(left / source.worth) == 0


@given(
    waits(),
    money(),
    st.lists(
        st.builds(
            Rule,
            st.integers(1, 3).map(lambda no: UUID(int=no)),
            st.sampled_from([None, *PROGRAMMES]),
            st.sampled_from(["UAH", "EUR"]),
            st.none() | st.frozensets(st.sampled_from(REGIONS), min_size=1),
            st.integers(0, 300),
            st.integers(1, 500),
            st.integers(1, 900),
            st.just(LEAD),
            st.booleans(),
        ),
        unique_by=lambda rule: rule.rule_id,
    ),
    st.dictionaries(st.integers(1, 3).map(lambda no: UUID(int=no)), amounts),
    st.sets(st.tuples(st.sampled_from(REGIONS), st.sampled_from(PROGRAMMES), st.just("UAH"))),
    keyed(),
)
def test_rules_keep_to_their_bounds(
    waiting: list[Wait],
    there: tuple[list[Source], dict[Pool, int]],
    rules: list[Rule],
    given_before: dict[UUID, int],
    served: set[Key],
    coming: dict[Key, int],
) -> None:
    offers = propose(waiting, *there, coming, {})
    moves = by_rule(offers, rules, given_before, dict.fromkeys(served, NOW), coming)

    of_rule: Counter[UUID] = Counter()
    for_chosen: Counter[Wait] = Counter()
    for move in moves:
        rule, offer = move.rule, move.offer
        assert offer.source.is_plain
        assert rule.programme in (None, offer.wait.programme)
        assert rule.regions is None or offer.wait.region in rule.regions
        assert rule.currency == offer.wait.currency
        assert 0 < move.amount_minor <= min(offer.amount_minor, rule.move_max_minor)
        assert offer.free_minor - move.amount_minor >= rule.keep_minor
        assert offer.wait.key not in served
        of_rule[rule.rule_id] += move.amount_minor
        if rule.chosen_only:
            for_chosen[offer.wait] += move.amount_minor
    for wait, amount in for_chosen.items():
        assert amount + coming.get(wait.key, 0) <= wait.chosen_minor
    for rule in rules:
        total = of_rule[rule.rule_id]
        assert not total or total + given_before.get(rule.rule_id, 0) <= rule.week_max_minor
    assert len({id(move.offer) for move in moves}) == len(moves)


def source(line: str, holder: str | None, terms: tuple[str, ...] | None, pool: int) -> Source:
    allotment = None if holder is None else AllotmentId(UUID(int=pool))
    return Source(GRANTS[0], line, "UAH", holder, allotment, terms, True, ((str(pool),),))


def test_what_nobody_holds_goes_first_and_the_narrowest_of_it() -> None:
    held = source("a", "lviv", ("cash",), 1)
    loose = source("b", None, None, 2)
    narrow = source("c", None, ("cash",), 3)
    wait = Wait("odesa", "cash", "UAH", 25, 1, NOW)

    found = propose([wait], [held, loose, narrow], {("1",): 10, ("2",): 10, ("3",): 10}, {}, {})

    assert [(each.source, each.amount_minor) for each in found] == [
        (narrow, 10), (loose, 10), (held, 5),
    ]  # fmt: skip


def test_who_has_few_sources_is_not_left_out_by_who_has_many() -> None:
    only_cash, both = source("a", None, ("cash",), 1), source("b", None, None, 2)
    cash = Wait("kyiv", "cash", "UAH", 10, 1, NOW)
    travel = Wait("odesa", "travel", "UAH", 10, 1, NOW)

    found = propose([cash, travel], [only_cash, both], {("1",): 10, ("2",): 10}, {}, {})

    assert {(each.wait, each.source) for each in found} == {(cash, only_cash), (travel, both)}


def test_a_rule_acts_again_once_another_sum_was_told() -> None:
    wait = Wait("odesa", "cash", "UAH", 10, 2, NOW)
    offers = propose([wait], [source("a", None, None, 1)], {("1",): 99}, {}, {})
    rule = Rule(LEAD, None, "UAH", None, 0, 99, 99, LEAD)

    assert by_rule(offers, [rule], {}, {wait.key: NOW}, {}) == []
    assert len(by_rule(offers, [rule], {}, {wait.key: NOW - timedelta(seconds=1)}, {})) == 1


@given(st.integers(1, 10**9), st.decimals("0.01", "200", places=4))
def test_a_pool_is_charged_at_least_what_the_grant_books(amount: int, rate: object) -> None:
    text = str(rate)
    booked = to_grant_currency(amount, "UAH", "EUR", text)

    assert -int(-amount * worth_of("UAH", "EUR", text) // 1) >= booked


def test_what_several_sources_give_by_rule_is_no_more_than_was_chosen() -> None:
    wait = Wait("odesa", "cash", "UAH", 20, 1, NOW, chosen_minor=10)
    first, second = source("a", None, None, 1), source("b", None, None, 2)
    offers = propose([wait], [first, second], {("1",): 8, ("2",): 8}, {}, {})
    rule = Rule(LEAD, None, "UAH", None, 0, 99, 99, LEAD, chosen_only=True)

    assert [each.amount_minor for each in by_rule(offers, [rule], {}, {}, {})] == [8, 2]
    assert [each.amount_minor for each in by_rule(offers, [rule], {}, {}, {wait.key: 1})] == [8, 1]
