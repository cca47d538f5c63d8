"""Who queues behind whom, and what a move to another place does to a need's place in line."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.values import BlockedBy, CapacityDemand
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import LIVE, State, Wait
from aidmesh_intake.domain.waitlist import Behind, Queue, Rank, place_of, queue_behind
from unit.intake.builders import DAY, NOW
from unit.intake.line import SITES, parcel_need, rank_of


def test_queueing_behind() -> None:
    mine = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    elsewhere = BlockedBy(resource="stock", code="parcel", area="UA46", quantity=1)
    one_site = BlockedBy(resource="stock", code="parcel", site_id=SITES[0], quantity=1)
    for theirs, priority, behind in [
        (mine, 11, True),
        (mine, 10, True),
        (mine, 9, False),
        (elsewhere, 10, False),
        (one_site, 10, False),
    ]:
        found = queue_behind(parcel_need(), [Queue(theirs, rank_of(priority))], DAY)
        assert (found is not None) is behind
    # One who wants a certain site queues behind those who would take it anywhere in the area.
    assert queue_behind(parcel_need(site=SITES[0]), [Queue(mine, rank_of())], DAY) is not None


def test_queueing_at_a_site_that_is_closed() -> None:
    here = BlockedBy(resource="stock", code="parcel", site_id=SITES[0], quantity=1)
    area = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    closed = Queue(here, rank_of(), closed=True)
    named = parcel_need(site=SITES[0])
    assert queue_behind(named, [closed], DAY) == Behind(here, Wait.SITE_CLOSED)
    assert queue_behind(named, [closed, Queue(area, rank_of())], DAY) == Behind(here, Wait.BEHIND)
    assert queue_behind(named, [Queue(here, rank_of(9), closed=True)], DAY) is None
    # Whoever may be served elsewhere does not wait until it opens.
    assert queue_behind(parcel_need(site=SITES[1]), [closed], DAY) is None
    assert queue_behind(parcel_need(), [closed], DAY) is None


def test_a_new_need_goes_behind_those_who_asked_later_but_wait_already() -> None:
    mine = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    long_ago = parcel_need(asked_on=DAY - timedelta(days=30))
    assert queue_behind(long_ago, [Queue(mine, rank_of())], DAY) is not None


@given(
    st.integers(0, 2),
    st.sampled_from([DAY - timedelta(days=1), DAY]),
    st.integers(1, 3),
    st.sampled_from([each for each in State if each is not State.REQUESTED]),
    st.builds(
        rank_of,
        st.integers(0, 2),
        st.sampled_from([DAY - timedelta(days=1), DAY]),
        st.integers(1, 3),
    ),
)
def test_whoever_was_in_line_before_goes_where_priority_and_age_put_them(
    priority: int, asked_on: date, queue_no: int, state: State, first: Rank
) -> None:
    back = replace(
        parcel_need(priority=priority, asked_on=asked_on),
        id=NeedId(UUID(int=78)),
        queue_no=queue_no,
        state=state,
    )
    theirs = BlockedBy(resource="stock", code="parcel", area="UA80", quantity=1)
    behind = queue_behind(back, [Queue(theirs, first)], DAY)
    before_me = (-first[0], -first[1].toordinal(), -first[2]) >= (
        priority,
        -asked_on.toordinal(),
        -queue_no,
    )
    assert (behind is not None) is before_me


def test_queueing_behind_on_the_same_days_only() -> None:
    bed = BlockedBy(resource="bed", code="shelter", area="UA80", quantity=1)
    tonight = parcel_need(
        Ask(
            capacity=CapacityDemand(
                resource="bed", code="shelter", from_on=DAY, to_on=DAY + timedelta(days=1)
            )
        )
    )
    other_night = Queue(bed, rank_of(), DAY + timedelta(days=30), DAY + timedelta(days=31))
    same_night = Queue(bed, rank_of(), DAY, DAY + timedelta(days=1))
    assert queue_behind(tonight, [other_night], DAY) is None
    assert queue_behind(tonight, [same_night], DAY) == Behind(bed)
    slot = BlockedBy(resource="slot", code="legal", area="UA80", quantity=1)
    this_week = parcel_need(
        Ask(
            capacity=CapacityDemand(
                resource="slot", code="legal", from_on=DAY, to_on=DAY + timedelta(days=7)
            )
        )
    )
    month = Queue(slot, rank_of(), DAY, DAY + timedelta(days=30))
    one_day = Queue(slot, rank_of(), DAY, DAY)
    assert queue_behind(this_week, [month], DAY) == Behind(slot)
    assert queue_behind(this_week, [one_day], DAY) is None
    # Its first days have gone by: it asks for what is still to come, as they do.
    rest = Queue(slot, rank_of(), DAY + timedelta(days=5), DAY + timedelta(days=30))
    assert queue_behind(this_week, [rest], DAY) is None
    assert queue_behind(this_week, [rest], DAY + timedelta(days=5)) == Behind(slot)


def test_whoever_can_use_an_hour_that_others_cannot_does_not_queue_behind_them() -> None:
    slot = BlockedBy(resource="slot", code="legal", area="UA80", quantity=1)
    today_only = CapacityDemand(resource="slot", code="legal", from_on=DAY, to_on=DAY)
    all_day = parcel_need(Ask(capacity=today_only))
    until_noon = replace(all_day, needed_until=NOW + timedelta(hours=3))
    until_one = replace(all_day, needed_until=NOW + timedelta(hours=4))
    theirs = Queue(slot, rank_of(), DAY, DAY, starts_before=NOW + timedelta(hours=3))
    assert queue_behind(all_day, [theirs], DAY) is None
    assert queue_behind(until_one, [theirs], DAY) is None
    assert queue_behind(until_noon, [theirs], DAY) == Behind(slot)
    assert queue_behind(until_noon, [Queue(slot, rank_of(), DAY, DAY)], DAY) == Behind(slot)
    assert queue_behind(all_day, [Queue(slot, rank_of(), DAY, date.max)], DAY) == Behind(slot)


@given(
    st.sampled_from([State.REQUESTED, State.APPROVED, State.HELD, State.READY, State.WAITLISTED]),
    st.sampled_from(list(Wait)),
    st.booleans(),
)
def test_a_moved_need_asks_there_or_queues_there_with_its_age(
    state: State, wait: Wait, someone_waits: bool
) -> None:
    before = parcel_need(asked_on=DAY - timedelta(days=9))
    attempt_no = 0
    if state is not State.REQUESTED:
        attempt_no = 3
        before = replace(before, state=state, attempt_no=attempt_no)
    if state is State.WAITLISTED:
        before = replace(before, wait=wait, blocked_by=before.blockers[0], waiting_since=NOW)
    there = BlockedBy(resource="stock", code="parcel", area="UA46", quantity=1)
    behind = Behind(there) if someone_waits else None
    decision = commands.move(before, NOW, "UA46", None, behind=behind)
    after = decision.need
    assert (after.place_area, after.asked_on, after.queue_no) == (
        "UA46",
        before.asked_on,
        before.queue_no,
    )
    names = [type(event).__name__ for event in decision.events]
    assert ("NeedWithdrawnV1" in names) is (state in LIVE), "what was set aside is let go"
    if state is State.REQUESTED:
        assert (after.state, names) == (State.REQUESTED, [])
    elif someone_waits:
        assert (after.state, after.wait, after.blocked_by) == (
            State.WAITLISTED,
            Wait.BEHIND,
            there,
        )
        assert after.attempt_no == attempt_no
        assert "NeedApprovedV1" not in names
        assert place_of(after) == (-10, before.asked_on, before.queue_no, before.id)
    else:
        assert (after.state, after.attempt_no) == (State.APPROVED, attempt_no + 1)
        assert "NeedApprovedV1" in names


def test_a_waiting_need_that_is_moved_to_where_it_is_keeps_its_place() -> None:
    before = replace(
        parcel_need(),
        state=State.WAITLISTED,
        wait=Wait.SHORT,
        blocked_by=parcel_need().blockers[0],
        waiting_since=NOW,
    )
    assert commands.move(before, NOW, "UA80", None).need is before
