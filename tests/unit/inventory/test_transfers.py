"""What regions asked each other for: no more is sent than was promised, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_inventory.domain.transfers import Ask, unfit

PIECES = st.integers(1, 30)


@given(accepted=PIECES, shipments=st.lists(st.lists(PIECES, min_size=1, max_size=3), max_size=6))
def test_all_shipments_for_an_ask_together_are_no_more_than_was_accepted(
    accepted: int, shipments: list[list[int]]
) -> None:
    sent = 0
    for lines in shipments:
        pieces = sum(lines)
        fault = unfit(Ask("parcel", "accepted", accepted), {"parcel": pieces}, sent)
        assert fault == (None if sent + pieces <= accepted else "more-than-accepted")
        if fault is None:
            sent += pieces
    assert sent <= accepted


def test_nothing_else_is_sent_than_was_asked_for_and_accepted() -> None:
    accepted = Ask("parcel", "accepted", 10)
    assert unfit(accepted, {"parcel": 9, "blanket": 1}, 0) == "not-what-was-asked"
    assert unfit(accepted, {"blanket": 1}, 0) == "not-what-was-asked"
    assert unfit(accepted, {"parcel": 10}, 0) is None
    assert unfit(Ask("parcel", "asked", None), {"parcel": 1}, 0) == "not-accepted"
    assert unfit(Ask("parcel", "refused", None), {"parcel": 1}, 0) == "not-accepted"
