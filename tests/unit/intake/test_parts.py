"""A refused need is split into what lies free, never into its whole, and before nobody in line."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import NeedApprovedV1, NeedWaitlistedV1
from aidmesh_contracts.inventory import ReservationRefusedV1
from aidmesh_contracts.values import StockDemand
from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import Decision, Need, State, Wait
from aidmesh_intake.domain.waitlist import Queue, is_next, place_of, queue_of
from unit.intake.builders import NOW, STOCK, need

FREE = st.lists(st.integers(1, 12), max_size=5).map(lambda some: sorted(some, reverse=True))


def asked(
    quantity: int, per_unit: int = 1, *, splittable: bool = True, woken: bool = False
) -> Need:
    """A need for so many units that inventory was asked for."""
    line = StockDemand(item="food_parcel", quantity=quantity * per_unit)
    whole = need(Ask(stock=(line,)), quantity=quantity, splittable=splittable)
    return commands.approve(whole, NOW, woken=woken).need


def refusal(of: Need, free: list[int], reason: str = "short") -> ReservationRefusedV1:
    """Inventory has not as much as the need wants, but so much."""
    return ReservationRefusedV1.model_validate(
        {
            "need_id": of.id,
            "attempt_no": of.attempt_no,
            "reason": reason,
            "blocked_by": of.blockers[0],
            "free_quantities": free,
            "decided_at": NOW,
        }
    )


def parts(decision: Decision) -> tuple[list[Need], list[Need]]:
    """Those that are asked for, and those that wait."""
    needs = (decision.need, *decision.split_off)
    running = [each for each in needs if each.state is State.APPROVED]
    waiting = [each for each in needs if each.state is State.WAITLISTED]
    assert len(running) + len(waiting) == len(needs)
    return running, waiting


def pieces(of: Need) -> int:
    return of.ask.stock[0].quantity


@given(st.integers(1, 20), st.integers(1, 4), FREE, st.sampled_from(["short", "restricted"]))
def test_what_lies_free_is_asked_for_and_the_rest_waits(
    quantity: int, per_unit: int, free: list[int], reason: str
) -> None:
    whole = asked(quantity, per_unit, woken=True)
    there = [min(each, quantity * per_unit - 1) for each in free if quantity * per_unit > 1]
    decision = saga.decide(whole, refusal(whole, there, reason), NOW)
    running, waiting = parts(decision)
    assert sum(pieces(each) for each in (*running, *waiting)) == quantity * per_unit
    assert all(pieces(each) == each.quantity * per_unit for each in (*running, *waiting))
    units = sum(each // per_unit for each in there)
    assert sum(each.quantity for each in running) == min(units, quantity)
    assert all(pieces(each) <= site for each, site in zip(running, there, strict=False))
    assert len(waiting) == (units < quantity)
    for each in (*running, *waiting):
        assert place_of(each)[:3] == place_of(whole)[:3], "it keeps its age"
    for each in waiting:
        assert each.wait is Wait(reason)
        assert each.blocked_by is not None
        assert each.blocked_by.quantity == pieces(each)
    assert decision.need.id == whole.id
    assert len({each.id for each in (*running, *waiting)}) == len(running) + len(waiting)
    assert [each.need_id for each in decision.events if isinstance(each, NeedApprovedV1)] == [
        each.id for each in running
    ]
    assert [each.need_id for each in decision.events if isinstance(each, NeedWaitlistedV1)] == [
        each.id for each in waiting
    ]
    woken = [each.id for each in running if each.woken]
    assert woken == ([whole.id] if running else []), "it gives back what woke it, once"
    again = saga.decide(decision.need, refusal(whole, there, reason), NOW)
    assert again.need is decision.need, "a refusal that is told twice splits once"


@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_refusals_end_whatever_they_say(quantity: int, per_unit: int, data: st.DataObject) -> None:
    asking, waiting, attempts = [asked(quantity, per_unit)], [], 1
    while asking:
        trying = asking.pop()
        running, more = parts(saga.decide(trying, refusal(trying, data.draw(FREE)), NOW))
        assert all(each.quantity < trying.quantity for each in running)
        asking += running
        waiting += more
        attempts += len(running)
        assert attempts < 2 * quantity
    assert sum(each.quantity for each in waiting) == quantity
    assert len({each.id for each in waiting}) == len(waiting)


@given(st.integers(0, 20), st.integers(-2, 2), st.integers(-2, 2), st.integers(0, 2))
def test_it_overtakes_nobody(priority: int, days: int, queue_no: int, id_no: int) -> None:
    whole = asked(3)
    other = replace(
        asked(2),
        id=NeedId(UUID(int=id_no)),
        priority=priority,
        asked_on=whole.asked_on + timedelta(days=days),
        queue_no=whole.queue_no + queue_no,
    )
    waiting = saga.decide(other, refusal(other, []), NOW).need
    queue = queue_of(waiting)
    assert queue is not None
    is_before = (-priority, waiting.asked_on, waiting.queue_no) < place_of(whole)[:3]
    running, rest = parts(saga.decide(whole, refusal(whole, [1]), NOW, queues=[queue]))
    assert bool(running) != is_before
    assert [each.quantity for each in rest] == ([3] if is_before else [2])


@given(st.integers(0, 9))
def test_parts_of_one_need_do_not_wait_for_each_other(id_no: int) -> None:
    part = asked(2)
    rest = replace(asked(2), id=NeedId(UUID(int=id_no)))
    queue = queue_of(saga.decide(rest, refusal(rest, []), NOW).need)
    assert queue is not None
    running, _ = parts(saga.decide(part, refusal(part, [1]), NOW, queues=[queue]))
    assert [each.quantity for each in running] == [1]


def test_only_those_in_line_for_the_same_come_before() -> None:
    whole = asked(3)
    urgent = replace(asked(2), id=NeedId(UUID(int=9)), priority=99)
    elsewhere = replace(urgent, place_area="UA46")
    assert queue_of(urgent) is None
    assert queue_of(saga.decide(urgent, refusal(urgent, [], "restricted"), NOW).need) is None
    far = queue_of(saga.decide(elsewhere, refusal(elsewhere, []), NOW).need)
    assert far is not None
    assert is_next(whole, [far], whole.asked_on)
    near = Queue(urgent.blockers[0], place_of(urgent))
    assert not is_next(whole, [far, near], whole.asked_on)


def test_what_can_not_be_split_waits_whole() -> None:
    whole = asked(3, splittable=False)
    running, waiting = parts(saga.decide(whole, refusal(whole, [2]), NOW))
    assert not running
    assert [each.quantity for each in waiting] == [3]


def test_what_is_over_is_not_split() -> None:
    whole = replace(asked(3), needed_by=NOW.date() - timedelta(days=1))
    decision = saga.decide(whole, refusal(whole, [2]), NOW)
    assert decision.need.state is State.EXPIRED
    assert not decision.split_off


@given(st.integers(2, 50), st.data())
def test_split_parts_make_the_whole(quantity: int, data: st.DataObject) -> None:
    per_unit = data.draw(st.integers(1, 5))
    demand = STOCK.stock[0].model_copy(update={"quantity": quantity * per_unit})
    whole = need(STOCK.model_copy(update={"stock": (demand,)}), quantity=quantity, splittable=True)
    waiting = replace(whole, state=State.WAITLISTED, blocked_by=whole.blockers[0])
    units = data.draw(st.integers(1, quantity - 1))
    first, rest = commands.split(waiting, units)
    assert first.quantity + rest.quantity == quantity
    assert first.ask.stock[0].quantity + rest.ask.stock[0].quantity == quantity * per_unit
    assert first.id == waiting.id != rest.id
    assert rest.blocked_by is not None
    assert rest.blocked_by.quantity == rest.ask.stock[0].quantity
    assert NeedId(rest.id) == commands.split(waiting, units)[1].id
