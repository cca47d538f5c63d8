"""What regions asked each other for: no more is sent than was promised, and nothing else."""

from typing import Literal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import TransferId
from aidmesh_contracts.inventory_shipments import TransferAnsweredV1
from aidmesh_inventory.domain.transfers import Ask, State, can_be, still_wanted, unanswerable, unfit

PIECES = st.integers(1, 30)


@given(accepted=PIECES, shipments=st.lists(st.lists(PIECES, min_size=1, max_size=3), max_size=6))
def test_all_shipments_for_an_ask_together_are_no_more_than_was_accepted(
    accepted: int, shipments: list[list[int]]
) -> None:
    sent = 0
    for lines in shipments:
        pieces = sum(lines)
        fault = unfit(Ask("parcel", 200, "accepted", accepted), {"parcel": pieces}, sent)
        assert fault == (None if sent + pieces <= accepted else "more-than-accepted")
        if fault is None:
            sent += pieces
    assert sent <= accepted


def test_nothing_else_is_sent_than_was_asked_for_and_accepted() -> None:
    accepted = Ask("parcel", 20, "accepted", 10)
    assert unfit(accepted, {"parcel": 9, "blanket": 1}, 0) == "not-what-was-asked"
    assert unfit(accepted, {"blanket": 1}, 0) == "not-what-was-asked"
    assert unfit(accepted, {"parcel": 10}, 0) is None
    assert unfit(Ask("parcel", 20, "asked", None), {"parcel": 1}, 0) == "not-accepted"
    assert unfit(Ask("parcel", 20, "refused", None), {"parcel": 1}, 0) == "not-accepted"
    assert unfit(Ask("parcel", 20, "withdrawn", None), {"parcel": 1}, 0) == "ask-withdrawn"


def test_an_ask_is_answered_once_with_what_was_asked_at_the_most() -> None:
    asked = Ask("parcel", 20, "asked", None)
    assert unanswerable(asked, 20) is None
    assert unanswerable(asked, None) is None
    assert unanswerable(asked, 21) == "more-than-asked"
    over: tuple[tuple[State, str], ...] = (
        ("accepted", "already-answered"),
        ("refused", "already-answered"),
        ("withdrawn", "ask-withdrawn"),
    )
    for state, fault in over:
        for accepted in (1, None):
            assert unanswerable(Ask("parcel", 20, state, None), accepted) == fault
    wanted = {state: still_wanted(Ask("parcel", 20, state, None)) for state, _ in over}
    assert still_wanted(asked)
    assert wanted == {"accepted": True, "refused": False, "withdrawn": False}


def test_an_answer_that_cannot_be_is_not_believed() -> None:
    def answer(what: Literal["accepted", "refused"], quantity: int | None) -> TransferAnsweredV1:
        return TransferAnsweredV1(
            transfer_id=TransferId(UUID(int=1)),
            from_region="kyiv",
            to_region="lviv",
            answer=what,
            quantity=quantity,
        )

    ask = Ask("parcel", 20, "asked", None)
    assert can_be(ask, answer("accepted", 20))
    assert can_be(ask, answer("refused", None))
    assert not can_be(ask, answer("accepted", 21))
    assert not can_be(ask, answer("accepted", None))
    assert not can_be(ask, answer("refused", 1))
