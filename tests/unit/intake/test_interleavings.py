"""Random interleavings: whatever comes in whatever order, a need ends right and never sticks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aidmesh_intake.domain import commands, saga
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import State
from unit.intake.builders import NOW, PAID, STOCK, need
from unit.intake.play import Play, message_left

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer"] * 6
            + ["event"] * 6
            + ["expire_supply", "expire_money", "not_collected", "relocate", "issue", "undo"]
            + ["cancel", "overdue", "wake", "tell", "message"]
        ),
        st.integers(0, 1000),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(st.sampled_from([STOCK, PAID]), STEPS)
def test_any_interleaving_ends_right(ask: Ask, steps: list[tuple[str, int, bool, bool]]) -> None:
    play = Play(need(ask))
    play.record(commands.approve(play.need, NOW))
    for name, index, keep, refuses in steps:
        _step(play, name, index, keep, refuses)
    play.settle()
    final = play.need
    assert final.state in (
        State.READY,
        State.FULFILLED,
        State.CANCELLED,
        State.REQUESTED,
    ), final.state
    in_force = [number for number, count in play.services.items() if count]
    assert len(in_force) <= 1
    assert (final.state is State.FULFILLED) == bool(in_force)
    out = [attempt for attempt, state in play.supply.held.items() if state == "issued"]
    assert (final.state is State.FULFILLED) == bool(out)
    assert len(out) <= 1 or final.attention == "served_by_two_attempts"
    if final.state is State.READY:
        assert play.supply.held[final.attempt_no] == "firm"
    if final.state is State.CANCELLED:
        for holder in (play.supply, play.money):
            assert not [each for each in holder.held.values() if each in ("held", "firm")]


def _step(play: Play, name: str, index: int, keep: bool, refuses: bool) -> None:
    if name == "answer" and play.to_intake:
        play.deliver_answer(index, keep=keep)
    elif name == "event" and play.to_holders:
        play.deliver_event(index, keep=keep, refuses=refuses)
    elif name in ("expire_supply", "expire_money"):
        holder = play.supply if name == "expire_supply" else play.money
        if holder.held.get(play.need.attempt_no) == "held":
            play.answer(holder.release(play.need.attempt_no, "hold_expired"))
    elif name in ("not_collected", "relocate"):
        cause = "not_collected" if name == "not_collected" else "relocated"
        if play.supply.held.get(play.need.attempt_no) == "firm":
            play.answer(play.supply.release(play.need.attempt_no, cause))
    elif name == "issue":
        play.answer(play.supply.issue())
    elif name == "undo":
        play.answer(play.supply.undo())
    elif name == "cancel" and play.need.state in commands.OPEN and index % 4 == 0:
        play.record(commands.end(play.need, State.CANCELLED, "no_longer_needed"))
    elif name == "overdue" and play.need.state in (State.APPROVED, State.HELD):
        play.record(commands.ask_anew(play.need, play.now))
    elif name == "wake" and play.need.state is State.WAITLISTED:
        play.record(commands.approve(play.need, play.now, note="woken", woken=True))
    elif name == "tell" and play.need.state is State.READY and play.need.told_at is None:
        play.record(commands.tell(play.need, play.now))
    elif name == "message":
        sent = message_left(max(1, play.need.attempt_no - index % 2))
        play.record(saga.decide(play.need, sent, play.now))


LATE = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer"] * 4
            + ["event"] * 4
            + ["leaves"] * 4
            + ["reported"] * 4
            + ["relocate"] * 3
            + ["expire_supply", "not_collected", "issue", "undo", "cancel"]
            + ["overdue", "wake", "tell"]
        ),
        st.integers(0, 1000),
        st.booleans(),
        st.booleans(),
    ),
    max_size=80,
)


@settings(max_examples=400)
@given(st.sampled_from([STOCK, PAID]), LATE)
def test_whoever_was_told_knows_better_is_served_or_is_looked_after(
    ask: Ask, steps: list[tuple[str, int, bool, bool]]
) -> None:
    """A message leaves at once; that it did is heard of late, whatever happened meanwhile."""
    play = Play(need(ask))
    play.record(commands.approve(play.need, NOW))
    play.settle()
    left: list[int] = []
    heard: set[int] = set()
    for name, index, keep, refuses in steps:
        before = play.need
        if name == "leaves":
            is_due = before.state is State.READY and before.told_at is None
            if is_due and before.attempt_no not in {*left, *heard}:
                left.append(before.attempt_no)
        elif name != "reported":
            _step(play, name, index, keep, refuses)
        elif left:
            attempt_no = left.pop(index % len(left))
            heard.add(attempt_no)
            play.record(saga.decide(before, message_left(attempt_no), play.now))
            after = play.need
            knows_better = after.told_at is not None
            is_served = after.state is State.FULFILLED
            assert knows_better or is_served or after.attention is not None
        after = play.need
        if before.attention is not None and after.attention is None:
            assert after.told_at is not None or after.state is State.FULFILLED
