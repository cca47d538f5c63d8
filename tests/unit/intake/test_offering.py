"""What grew is offered to those who wait: fairly, and never more than there is."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain.waitlist import SLACK, Growth, Waiter, offer
from unit.intake.builders import NOW
from unit.intake.line import SITES, growth_of, waiter_of

AREAS = ["UA80", "UA8012", "UA46"]

blockers = st.builds(
    BlockedBy,
    resource=st.just("stock"),
    code=st.sampled_from(["parcel", "kit"]),
    site_id=st.sampled_from([None, *SITES]),
    area=st.sampled_from([None, "UA80", "UA46"]),
    quantity=st.integers(1, 4),
)
waiters = st.builds(
    Waiter,
    need_id=st.uuids(),
    priority=st.integers(0, 3),
    asked_on=st.dates(date(2024, 1, 1), date(2024, 1, 5)),
    queue_no=st.integers(1, 3),
    blocked_by=blockers,
    decided_at=st.sampled_from([None, NOW - timedelta(hours=1), NOW + timedelta(hours=1)]),
    waiting_since=st.just(NOW - timedelta(minutes=30)),
    short=st.booleans(),
)
growths = st.builds(
    Growth,
    id=st.uuids(),
    resource=st.just("stock"),
    code=st.sampled_from(["parcel", "kit"]),
    currency=st.none(),
    programmes=st.none(),
    site_id=st.sampled_from(SITES),
    area=st.sampled_from(AREAS),
    left=st.integers(1, 8),
    cap=st.none(),
    freed_by=st.none(),
    grew_at=st.just(NOW),
    received_at=st.just(NOW),
)


@given(
    st.lists(waiters, max_size=12, unique_by=lambda each: each.need_id),
    st.lists(growths, max_size=4, unique_by=lambda each: each.id),
)
def test_an_offer_is_fair_and_within_what_grew(some: list[Waiter], more: list[Growth]) -> None:
    before = {growth.id: growth.left for growth in more}
    wakes = offer(more, some)
    by_id = {waiter.need_id: waiter for waiter in some}
    taken = dict.fromkeys(before, 0)
    woken = {wake.need_id for wake in wakes}

    def is_kept(growth: Growth, waiter: Waiter) -> bool:
        return any(
            other.rank < waiter.rank and other.keeps(growth) and other.need_id not in woken
            for other in some
        )

    for wake in wakes:
        waiter = by_id[wake.need_id]
        sizes = sum(quantity for _, quantity in wake.taken)
        assert 0 < sizes <= waiter.blocked_by.quantity
        if sizes < waiter.blocked_by.quantity:
            # What grew may complete what was there; but then nothing of it is left for others.
            assert all(g.left == 0 or is_kept(g, waiter) for g in more if waiter.may_use(g))
        for growth_id, quantity in wake.taken:
            taken[growth_id] += quantity
    for growth in more:
        assert growth.left == before[growth.id] - taken[growth.id] >= 0
    assert len(woken) == len(wakes), "nobody is woken twice"
    ranks = [by_id[wake.need_id].rank for wake in wakes]
    assert ranks == sorted(ranks)
    for waiter in some:
        if waiter.need_id in woken:
            continue
        # Whoever could have used something finds that it is kept for somebody before them.
        for growth in more:
            if growth.left > 0 and waiter.may_use(growth):
                assert is_kept(growth, waiter)


def test_a_splittable_need_takes_what_there_is() -> None:
    growth = growth_of(5)
    wakes = offer([growth], [waiter_of(1, 8, piece=2)])
    assert (wakes[0].pieces, growth.left) == (4, 1)


def test_growth_is_not_offered_to_whom_it_came_from_or_who_tried_it() -> None:
    growth = growth_of(5)
    growth.freed_by = UUID(int=1)
    assert offer([growth], [waiter_of(1, 1)]) == []
    tried = waiter_of(2, 1, tried=frozenset({growth.id}))
    assert offer([growth], [tried]) == []
    growth.cap = 2
    assert offer([growth], [waiter_of(3, 3)]) == []
    assert len(offer([growth], [waiter_of(4, 2)])) == 1


def test_who_queued_without_asking_is_offered_what_was_heard_of_from_then_on() -> None:
    for late_s, woken in ((-1, 0), (0, 1), (1, 1)):
        growth = growth_of(1)
        growth.received_at = NOW + timedelta(seconds=late_s)
        behind = replace(waiter_of(1, 1), decided_at=None, waiting_since=NOW)
        assert len(offer([growth], [behind])) == woken


def test_a_refusal_shortly_after_growth_may_have_overlooked_it_and_letting_go_did_not() -> None:
    for late, refused, let_go in ((-SLACK, 1, 1), (timedelta(), 1, 0), (SLACK, 0, 0)):
        waiter = replace(waiter_of(1, 1), decided_at=NOW + late)
        assert len(offer([growth_of(1)], [waiter])) == refused
        assert len(offer([growth_of(1)], [replace(waiter, let_go=True)])) == let_go


def test_money_is_matched_by_programme_and_currency() -> None:
    growth = Growth(
        id=UUID(int=7),
        resource="money",
        code=None,
        currency="UAH",
        programmes=frozenset({"cash"}),
        site_id=None,
        area=None,
        left=100,
        cap=None,
        freed_by=None,
        grew_at=NOW,
        received_at=NOW,
    )
    for code, fits in [("cash/UAH", True), ("cash/EUR", False), ("food/UAH", False)]:
        blocked = BlockedBy(resource="money", code=code, quantity=10)
        assert growth.concerns(blocked) is fits


def test_the_first_is_asked_again_and_those_behind_wait_with_it() -> None:
    growth = growth_of(1)
    large, small = waiter_of(1, 3), waiter_of(2, 1)
    (wake,) = offer([growth], [large, small])
    assert (wake.need_id, growth.left) == (large.need_id, 0)
    growth.left = 1  # it was refused and gave it back
    refused = replace(
        large, short=True, decided_at=NOW + timedelta(minutes=1), tried=frozenset({growth.id})
    )
    assert offer([growth], [refused, small]) == []
    more = growth_of(1)
    more.id, more.grew_at = UUID(int=51), NOW + timedelta(minutes=2)
    (wake,) = offer([growth, more], [refused, small])
    assert wake.taken == ((growth.id, 1), (more.id, 1))
