"""What may be moved to another site: whatever a lot has, never what somebody was promised."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_inventory.domain.moving import Fault, Pieces, unmovable
from aidmesh_inventory.domain.picking import Place

HERE, THERE = UUID(int=1), UUID(int=2)
OPEN = Place(THERE, "UA80", is_open=True)
LOT = Pieces(HERE, "available", on_hand=5, held=2)


@st.composite
def lots(draw: st.DrawFn) -> Pieces:
    """A lot as the books allow it."""
    on_hand = draw(st.integers(0, 20))
    status = draw(st.sampled_from(["available", "expired", "blocked"]))
    return Pieces(HERE, status, on_hand, held=draw(st.integers(0, on_hand)))


sites = st.builds(Place, st.sampled_from([HERE, THERE]), st.just("UA80"), st.booleans())


@given(lot=lots(), quantity=st.integers(1, 25), to=sites)
def test_what_may_go_leaves_what_is_held_and_comes_to_another_open_site(
    lot: Pieces, quantity: int, to: Place
) -> None:
    if unmovable(lot, quantity, to) is None:
        assert lot.on_hand - quantity >= lot.held
        assert to.is_open
        assert to.site_id != lot.site_id
        assert lot.status != "blocked"


@given(lot=lots(), quantity=st.integers(1, 25), to=sites)
def test_nothing_else_stands_in_the_way(lot: Pieces, quantity: int, to: Place) -> None:
    """A site is emptied of what is free, open or not, of expired goods too."""
    possible = (
        to.site_id == THERE
        and to.is_open
        and lot.status in ("available", "expired")
        and quantity <= lot.on_hand - lot.held
    )
    assert (unmovable(lot, quantity, to) is None) == possible


@pytest.mark.parametrize(
    ("lot", "quantity", "to", "fault"),
    [
        (LOT, 3, OPEN, None),
        (LOT, 4, OPEN, "fewer-free"),
        (LOT, 3, Place(HERE, "UA80", is_open=True), "same-site"),
        (LOT, 3, Place(THERE, "UA46", is_open=True), None),
        (LOT, 3, Place(THERE, "UA80", is_open=False), "site-closed"),
        (Pieces(HERE, "expired", 5, 0), 5, OPEN, None),
        (Pieces(HERE, "blocked", 0, 0), 1, OPEN, "already-reversed"),
    ],
)
def test_it_says_why_not(lot: Pieces, quantity: int, to: Place, fault: Fault | None) -> None:
    assert unmovable(lot, quantity, to) == fault
