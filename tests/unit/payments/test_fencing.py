"""What is taken back from a lost holder is never more than it can have had free."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.standings import News, Stand, counts
from aidmesh_contracts.payments_regions import Standing
from aidmesh_payments.domain.fencing import (
    GivenBack,
    Known,
    Return,
    creditable,
    due,
    may_credit,
    reissuable_minor,
)

amounts = st.integers(0, 10_000)


@st.composite
def _figures(draw: st.DrawFn) -> tuple[int, Known]:
    """What a grantor counts as gone, and what the holder told at some time before."""
    received = draw(amounts)
    returned = draw(st.integers(0, received))
    held = draw(st.integers(0, received - returned))
    committed = draw(st.integers(0, received - returned - held))
    spent = draw(st.integers(0, received - returned - held - committed))
    in_transit = draw(amounts)
    # Of what it returned, the grantor may have credited only a part.
    credited = draw(st.integers(0, returned))
    return received + in_transit - credited, Known(received, returned, held, committed, spent)


@given(_figures())
def test_what_is_used_or_on_its_way_stays_counted_as_gone(figures: tuple[int, Known]) -> None:
    outstanding, known = figures
    taken = reissuable_minor(outstanding, known)
    assert 0 <= taken <= known.free_minor
    assert outstanding - taken >= known.used_minor
    assert taken == known.free_minor  # figures of one moment agree, so nothing is left lying


@given(amounts, st.builds(Known, amounts, amounts, amounts, amounts, amounts))
def test_figures_that_do_not_agree_never_free_too_much(outstanding: int, known: Known) -> None:
    taken = reissuable_minor(outstanding, known)
    assert taken >= 0
    assert taken == 0 or outstanding - taken >= known.used_minor


@given(_figures(), amounts)
def test_by_the_same_figures_it_is_taken_back_once(
    figures: tuple[int, Known], on_its_way: int
) -> None:
    outstanding, known = figures
    taken = reissuable_minor(outstanding + on_its_way, known)
    assert reissuable_minor(outstanding + on_its_way - taken, known, taken) == 0


def test_of_whom_nothing_was_heard_nothing_is_taken() -> None:
    assert reissuable_minor(1_000, None) == 0


_fences = st.frozensets(st.integers(1, 3))
_returns = st.lists(
    st.builds(
        Return,
        st.integers(0, 20),
        st.integers(1, 1_000),
        st.integers(1, 3),
        st.booleans(),
        st.none() | _fences,
    ),
    unique_by=lambda each: each.id,
)


@given(amounts, st.integers(1, 3), st.sets(st.integers(0, 20)), _returns)
def test_what_was_given_back_in_vain_counts_once(
    taken: int, epoch: int, credited: set[int], returns: list[Return]
) -> None:
    found = due(taken, epoch, credited, returns)
    in_vain = [r for r in returns if r.id in found.settled]
    assert found.owed_minor - found.untold_minor == taken - sum(r.amount_minor for r in in_vain)
    assert 0 in (found.owed_minor, found.untold_minor)
    assert not {r.id for r in in_vain} & credited
    for each in returns:  # what the grantor will still credit, or has, is not set against anything
        will_count = each.knew_of(epoch) or each.settled or each.id in credited
        assert will_count == (each.id not in found.settled)


@given(st.integers(1, 10_000), amounts, _fences, st.none() | _fences)
def test_never_is_more_credited_than_is_there(
    amount: int, outstanding: int, fences: frozenset[int], known: frozenset[int] | None
) -> None:
    if may_credit(amount, outstanding, fences, known):
        assert amount <= outstanding


@given(st.integers(1, 10_000), _fences)
def test_all_that_is_there_is_credited_at_once(amount: int, fences: frozenset[int]) -> None:
    for known in (None, fences):
        assert may_credit(amount, amount, fences, known)
        assert not may_credit(amount + 1, amount, fences, known)


_given_back = st.builds(
    GivenBack,
    st.integers(1, 9).map(lambda each: UUID(int=each)),
    st.sampled_from([UUID(int=101), UUID(int=102)]),
    st.integers(1, 60),
    st.none() | _fences,
)


@given(st.lists(_given_back), st.tuples(*[st.integers(0, 100)] * 2), st.tuples(_fences, _fences),
       st.sets(st.integers(1, 9).map(lambda each: UUID(int=each))))  # fmt: skip
def test_of_many_returns_the_same_are_credited_as_one_by_one(
    returns: list[GivenBack],
    there: tuple[int, int],
    fenced: tuple[frozenset[int], frozenset[int]],
    before: set[UUID],
) -> None:
    outstanding = {UUID(int=101): there[0], UUID(int=102): there[1]}
    fences = {UUID(int=101): fenced[0], UUID(int=102): fenced[1]}
    left, credited, answers = dict(outstanding), set(before), []
    for each in returns:
        of, known = each.allotment_id, each.known_fences
        if each.id in credited:
            answers.append(True)
            continue
        answers.append(may_credit(each.amount_minor, left[of], fences[of], known))
        if answers[-1]:
            credited.add(each.id)
            left[of] -= each.amount_minor
    assert creditable(returns, outstanding, fences, before) == answers
    assert min(left.values()) >= 0


@given(
    st.integers(1, 1_000), amounts, st.integers(1, 9), st.lists(_fences), st.permutations([1, 2])
)
def test_a_return_is_credited_or_set_against_a_fence_and_never_both(
    amount: int, taken: int, epoch: int, known: list[frozenset[int]], heard: list[int]
) -> None:
    """Both ends go by what the holder said it knew, whatever epoch it speaks in."""
    returns = [Return(at, amount, epoch, fences=each) for at, each in enumerate(known)]
    counted = {each.id for each in returns if may_credit(amount, 10_000, {1, 2}, each.fences)}
    settled: list[object] = []
    for fenced in heard:  # in any order; neither was told with any of these credited
        left = [each for each in returns if each.id not in settled]
        settled += due(taken, fenced, (), left).settled
    assert counted.isdisjoint(settled)
    assert counted | set(settled) == {each.id for each in returns}


@given(
    st.lists(
        st.builds(
            Stand,
            st.sampled_from(["member", "lost", "retired"]),
            st.integers(1, 5),
            st.just(datetime(2024, 1, 1, tzinfo=UTC)),
        ),
        min_size=1,
    )
)
def test_whatever_order_it_comes_in_the_same_is_believed(said: list[Stand]) -> None:
    best = max(said, key=lambda each: each.rank)
    if best.standing == "lost":
        assert not any(counts(best, epoch) for epoch in range(1, 8))
        again = Stand("member", best.epoch + 1, best.since)
        assert again.rank > best.rank
        assert not counts(again, best.epoch)
        assert counts(again, best.epoch + 1)
        assert Stand("lost", best.epoch + 1, best.since).rank > again.rank
    if any(each.standing == "retired" for each in said):
        assert best.standing == "retired"


def test_whoever_hears_only_of_a_return_fences_all_that_came_before_it() -> None:
    def stood(standing: Standing, epoch: int) -> Stand:
        return Stand(standing, epoch, datetime.now(UTC))

    assert not News(stood("lost", 1), stood("member", 2)).fences
    for before in (None, stood("member", 2), stood("lost", 1)):
        assert News(before, stood("member", 3)).fences
