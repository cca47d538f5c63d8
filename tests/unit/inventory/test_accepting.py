"""Asks of other regions by rule: never what is not free, and never what the region keeps."""

from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.restriction import UNRESTRICTED, AreaMeans, Restriction
from aidmesh_inventory.domain.accepting import (
    NEED_DAYS,
    Rule,
    Shelf,
    accepting_rule,
    may_leave,
)
from aidmesh_inventory.domain.picking import Lot

TODAY = date(2026, 3, 2)
HERE, THERE = UUID(int=1), UUID(int=2)
PIECES = st.integers(0, 60)
BY_SITE = st.fixed_dictionaries({}, optional={HERE: PIECES, THERE: PIECES})


def rule(
    no: int = 1,
    *,
    item: str | None = "parcel",
    site_id: UUID | None = None,
    regions: frozenset[str] | None = None,
    keep_pieces: int = 0,
    keep_days: int = 0,
    ask_max: int = 20,
    week_max: int = 50,
) -> Rule:
    return Rule(UUID(int=no), item, site_id, regions, keep_pieces, keep_days, ask_max, week_max)


def shelf(free: int, *, promised: int = 0, waiting: int = 0, issued: int = 0) -> Shelf:
    return Shelf({HERE: free}, {HERE: issued}, promised, waiting)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    return [
        rule(
            no,
            item=draw(st.sampled_from(["parcel", None, "blanket"])),
            site_id=draw(st.sampled_from([None, HERE, THERE])),
            regions=draw(st.sampled_from([None, frozenset({"lviv"}), frozenset({"odesa"})])),
            keep_pieces=draw(st.integers(0, 30)),
            keep_days=draw(st.integers(0, 20)),
            ask_max=draw(st.integers(1, 30)),
            week_max=draw(st.integers(30, 60)),
        )
        for no in range(draw(st.integers(1, 3)))
    ]


@given(
    free=BY_SITE,
    issued=BY_SITE,
    promised=st.integers(0, 30),
    rules=rules(),
    asks=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["lviv", "odesa"])), max_size=12),
)
def test_no_run_of_asks_is_promised_more_than_is_free_or_what_is_kept(
    free: dict[UUID, int],
    issued: dict[UUID, int],
    promised: int,
    rules: list[Rule],
    asks: list[tuple[int, str]],
) -> None:
    given: dict[UUID, int] = {}
    for quantity, region in asks:
        there = Shelf(free, issued, promised, 0)
        found = accepting_rule("parcel", quantity, region, there, rules, given)
        if found is None:
            continue
        promised += quantity
        given[found.rule_id] = given.get(found.rule_id, 0) + quantity
        # All promises, whoever made them, and what is kept, are there.
        assert promised + found.keep_pieces <= sum(free.values())
        assert found.regions is None or region in found.regions
        assert found.item in (None, "parcel")
        assert quantity <= found.ask_max
        assert given[found.rule_id] <= found.week_max
        stays = sum(free.values()) - promised
        used = sum(issued.values()) if found.site_id is None else issued.get(found.site_id, 0)
        assert stays * NEED_DAYS >= used * found.keep_days
        if found.site_id is not None:
            assert promised + found.keep_pieces <= free.get(found.site_id, 0)


def test_a_rule_accepts_to_the_last_piece_that_is_not_kept() -> None:
    for quantity, accepted in ((15, True), (16, False)):
        found = accepting_rule("parcel", quantity, "lviv", shelf(25), [rule(keep_pieces=10)], {})
        assert (found is not None) is accepted
    # 56 in 28 days are 2 a day: five days take 10, and begun pieces are whole ones.
    for issued, accepted in ((56, True), (57, False)):
        there = shelf(25, issued=issued)
        found = accepting_rule("parcel", 15, "lviv", there, [rule(keep_days=5)], {})
        assert (found is not None) is accepted


def test_what_a_rule_cannot_decide_waits_for_a_person() -> None:
    def accepts(quantity: int, there: Shelf, *rules: Rule, **given: int) -> bool:
        done = {UUID(int=1): given.get("week", 0)}
        return accepting_rule("parcel", quantity, "lviv", there, rules, done) is not None

    assert not accepts(1, shelf(100))
    assert accepts(5, shelf(100), rule())
    assert accepts(20, shelf(100), rule())
    assert not accepts(21, shelf(100), rule())
    assert not accepts(5, shelf(100), rule(), week=46)
    assert accepts(5, shelf(100), rule(), week=45)
    assert not accepts(5, shelf(100), rule(regions=frozenset({"odesa"})))
    assert not accepts(5, shelf(100), rule(item="blanket"))
    assert accepts(5, shelf(100), rule(item=None))
    assert not accepts(5, shelf(100), rule(site_id=THERE))
    assert not accepts(5, shelf(100, promised=96), rule())
    assert not accepts(5, shelf(100, waiting=1), rule())
    assert accepts(5, shelf(100), rule(ask_max=1), rule(2))


def test_only_what_is_of_use_there_may_leave() -> None:
    def free(
        restriction: Restriction = UNRESTRICTED, expiry: date | None = None, site: UUID = HERE
    ) -> Lot:
        return Lot(UUID(int=9), site, "parcel", expiry, restriction, 3)

    def going(*lots: Lot) -> dict[UUID, int]:
        return dict(may_leave(lots, "UA46", TODAY))

    tomorrow = TODAY + timedelta(days=1)
    assert going(free(), free(expiry=tomorrow), free(site=THERE)) == {HERE: 6, THERE: 3}
    assert going(free(expiry=TODAY)) == {}
    assert going(free(Restriction(areas=("UA46",)))) == {HERE: 3}
    assert going(free(Restriction(areas=("UA80",)))) == {}
    assert going(free(Restriction(areas=("UA46",), area_means=AreaMeans.STAY))) == {}
    assert going(free(Restriction(valid_to=TODAY))) == {HERE: 3}
    assert going(free(Restriction(valid_to=TODAY - timedelta(days=1)))) == {}
