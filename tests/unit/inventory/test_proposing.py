"""What other regions could send: never more than waits, and no piece of it twice."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aidmesh_inventory.domain.proposing import (
    AskRule,
    Coming,
    Elsewhere,
    Proposal,
    Waiting,
    asks_by_rule,
    of,
    propose,
)

NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
KYIV, LVIV, DEPOT = UUID(int=1), UUID(int=2), UUID(int=3)
AREAS = {KYIV: "UA80", LVIV: "UA46", DEPOT: "UA4606"}
ITEMS = ("parcel", "blanket")
PLACES: tuple[tuple[UUID | None, str | None], ...] = (
    (None, None), (None, "UA46"), (None, "UA80"), (LVIV, None), (DEPOT, None),
)  # fmt: skip


def waits(
    quantity: int,
    *,
    item: str = "parcel",
    area: str | None = "UA46",
    site_id: UUID | None = None,
    sensitive: bool = False,
) -> Waiting:
    return Waiting(item, site_id, area, sensitive, min(quantity, 1), quantity)


def has(free: int, region: str = "odesa", item: str = "parcel") -> Elsewhere:
    return Elsewhere(region, item, free, NOW)


def comes(
    quantity: int, region: str = "odesa", site_id: UUID = LVIV, *, item: str = "parcel",
    left: bool = False,
) -> Coming:  # fmt: skip
    return Coming(item, region, site_id, AREAS[site_id], quantity, left)


def test_what_waits_is_asked_of_who_has_most_and_no_more_than_they_have() -> None:
    found = propose([waits(12)], [], [has(40), has(9, "kharkiv")], {})
    assert found == [Proposal(waits(12), "odesa", 12, 40, NOW)]
    several = propose([waits(12)], [], [has(5), has(9, "kharkiv")], {})
    assert [(each.from_region, each.quantity) for each in several] == [("kharkiv", 9), ("odesa", 3)]
    assert propose([waits(12)], [], [has(40, item="blanket")], {}) == []


def test_what_is_asked_for_or_on_its_way_is_not_proposed_again() -> None:
    def quantity(*coming: Coming, free: int = 40) -> int:
        return sum(each.quantity for each in propose([waits(12)], coming, [has(free)], {}))

    assert quantity(comes(5)) == 7
    assert quantity(comes(5, left=True)) == 7
    assert quantity(comes(12)) == 0
    assert quantity(comes(5, site_id=DEPOT)) == 7
    assert quantity(comes(5, site_id=KYIV)) == 12
    assert quantity(comes(5, item="blanket")) == 12
    # What was asked of them is in their figure still, what left is not.
    assert quantity(comes(5), free=10) == 5
    assert quantity(comes(5, left=True), free=10) == 7
    assert quantity(comes(5, site_id=KYIV), free=10) == 5


def test_goods_that_only_one_can_use_cover_that_one() -> None:
    narrow, wide = waits(5, site_id=LVIV, area=None), waits(5, area=None)
    for coming in ([comes(5), comes(5, site_id=KYIV)], [comes(5, site_id=KYIV), comes(5)]):
        assert propose([wide, narrow], coming, [has(40)], {}) == []


def test_what_was_set_aside_comes_again_once_it_is_more() -> None:
    aside = {(of(waits(12)), "odesa"): 12}
    assert propose([waits(12)], [], [has(40)], aside) == []
    assert [each.quantity for each in propose([waits(13)], [], [has(40)], aside)] == [13]
    other = propose([waits(12)], [], [has(40), has(20, "kharkiv")], aside)
    assert [(each.from_region, each.quantity) for each in other] == [("kharkiv", 12)]


def by_rule(open_max: int, site_id: UUID = LVIV, **more: object) -> AskRule:
    values: dict[str, object] = {"item": "parcel", "regions": None, "sensitive_too": False}
    return AskRule(
        rule_id=UUID(int=7), to_site_id=site_id, area=AREAS[site_id], open_max=open_max,
        **{**values, **more},  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_rule_asks_within_its_bounds() -> None:
    def asks(rule: AskRule, *coming: Coming, sensitive: bool = False) -> list[int]:
        proposals = propose([waits(12, sensitive=sensitive)], coming, [has(40)], {})
        return [each.quantity for each in asks_by_rule(proposals, [rule], coming)]

    assert asks(by_rule(20)) == [12]
    assert asks(by_rule(8)) == [8]
    assert asks(by_rule(8), comes(6)) == [2]
    assert asks(by_rule(8), comes(8)) == []
    assert asks(by_rule(8), comes(6, site_id=KYIV)) == [8]
    assert asks(by_rule(20, KYIV)) == []
    assert asks(by_rule(20, regions=frozenset({"kharkiv"}))) == []
    assert asks(by_rule(20, item="blanket")) == []
    assert asks(by_rule(20), sensitive=True) == []
    assert asks(by_rule(20, sensitive_too=True), sensitive=True) == [12]


def test_a_rule_for_chosen_needs_asks_for_no_others() -> None:
    plain, picked = waits(12), waits(3)._replace(chosen=True)
    proposals = propose([plain, picked], [], [has(40)], {})

    def asked(rule: AskRule) -> int:
        return sum(each.quantity for each in asks_by_rule(proposals, [rule], []))

    assert asked(by_rule(20)) == 15
    assert asked(by_rule(20, chosen_only=True)) == 3


@given(
    waiting=st.lists(
        st.builds(
            lambda item, place, sensitive, quantity: waits(
                quantity, item=item, site_id=place[0], area=place[1], sensitive=sensitive
            ),
            st.sampled_from(ITEMS), st.sampled_from(PLACES), st.booleans(), st.integers(1, 20),
        ),
        max_size=6, unique_by=of,
    ),
    coming=st.lists(
        st.builds(
            lambda item, region, site, quantity, left: comes(
                quantity, region, site, item=item, left=left
            ),
            st.sampled_from(ITEMS), st.sampled_from(["odesa", "kharkiv"]),
            st.sampled_from([KYIV, LVIV, DEPOT]), st.integers(1, 15), st.booleans(),
        ),
        max_size=5,
    ),
    elsewhere=st.lists(
        st.builds(
            has, st.integers(1, 40), st.sampled_from(["odesa", "kharkiv"]), st.sampled_from(ITEMS)
        ),
        max_size=4, unique_by=lambda each: (each.region, each.item),
    ),
)  # fmt: skip
def test_proposals_are_never_more_than_waits_or_than_is_free(
    waiting: list[Waiting], coming: list[Coming], elsewhere: list[Elsewhere]
) -> None:
    found = propose(waiting, coming, elsewhere, {})
    assert len({(of(each.waiting), each.from_region) for each in found}) == len(found)
    for wanted in waiting:
        assert sum(each.quantity for each in found if each.waiting == wanted) <= wanted.quantity
    for item in ITEMS:
        wanted_in_all = sum(each.quantity for each in waiting if each.item == item)
        proposed = sum(each.quantity for each in found if each.waiting.item == item)
        # What is coming covers as much as it can, whichever way it is dealt out.
        assert proposed <= wanted_in_all - _coverable(waiting, coming, item)
    for told in elsewhere:
        asked = sum(
            each.quantity
            for each in coming
            if not each.left and (each.item, each.from_region) == (told.item, told.region)
        )
        of_it = sum(
            each.quantity
            for each in found
            if (each.waiting.item, each.from_region) == (told.item, told.region)
        )
        assert of_it == 0 or of_it <= told.free - asked


def _coverable(waiting: list[Waiting], coming: list[Coming], item: str) -> int:
    """Pieces of what waits that what is coming covers at best: a maximum flow, by bare force."""
    wanted = [each for each in waiting if each.item == item for _ in range(each.quantity)]
    pieces = [each for each in coming if each.item == item for _ in range(each.quantity)]
    taken: dict[int, int] = {}

    def place(piece: int, tried: set[int]) -> bool:
        for no, each in enumerate(wanted):
            if no not in tried and each.is_served_at(pieces[piece].site_id, pieces[piece].area):
                tried.add(no)
                if no not in taken or place(taken[no], tried):
                    taken[no] = piece
                    return True
        return False

    return sum(place(piece, set()) for piece in range(len(pieces)))


class Weeks(RuleBasedStateMachine):
    """A region that asks for what is proposed, while needs come and go and goods arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.free: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.moving: Counter[str] = Counter()

    @property
    def coming(self) -> list[Coming]:
        asked = [comes(pieces, region) for region, pieces in self.asked.items() if pieces]
        moving = [comes(n, region, left=True) for region, n in self.moving.items() if n]
        return asked + moving

    @property
    def proposals(self) -> list[Proposal]:
        told = [has(pieces, region) for region, pieces in self.free.items() if pieces]
        return propose([waits(self.waiting)] if self.waiting else [], self.coming, told, {})

    @rule(count=st.integers(1, 9))
    def somebody_waits(self, count: int) -> None:
        self.waiting += count

    @rule(count=st.integers(1, 9))
    def local_goods_serve_them(self, count: int) -> None:
        self.waiting -= min(self.waiting, count)

    @rule(region=st.sampled_from(["odesa", "kharkiv"]), pieces=st.integers(1, 20))
    def goods_come_elsewhere(self, region: str, pieces: int) -> None:
        self.free[region] += pieces

    @rule()
    def all_proposals_are_taken(self) -> None:
        before = sum(each.quantity for each in self.coming)
        for each in self.proposals:
            self.asked[each.from_region] += each.quantity
        # No more is asked for than waits, unless fewer wait now than when it was asked for.
        assert sum(each.quantity for each in self.coming) <= max(before, self.waiting)

    @rule(open_max=st.integers(1, 10))
    def a_rule_asks(self, open_max: int) -> None:
        before = sum(each.quantity for each in self.coming)
        for each in asks_by_rule(self.proposals, [by_rule(open_max)], self.coming):
            self.asked[each.from_region] += each.quantity
        assert sum(each.quantity for each in self.coming) <= max(
            before, min(open_max, self.waiting)
        )

    @rule(region=st.sampled_from(["odesa", "kharkiv"]))
    def it_is_sent(self, region: str) -> None:
        sent = min(self.asked[region], self.free[region])
        self.free[region] -= sent
        self.asked[region] -= sent
        self.moving[region] += sent

    @rule(region=st.sampled_from(["odesa", "kharkiv"]))
    def it_is_refused(self, region: str) -> None:
        self.asked[region] = 0

    @rule(region=st.sampled_from(["odesa", "kharkiv"]))
    def it_is_counted(self, region: str) -> None:
        # Whoever waits is woken by exactly what came.
        self.waiting -= min(self.waiting, self.moving[region])
        self.moving[region] = 0

    @invariant()
    def nothing_is_proposed_that_is_asked_for_already(self) -> None:
        assert all(each.quantity > 0 for each in self.proposals)
        proposed = sum(each.quantity for each in self.proposals)
        assert proposed <= max(0, self.waiting - sum(each.quantity for each in self.coming))


Weeks.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestWeeks = Weeks.TestCase
