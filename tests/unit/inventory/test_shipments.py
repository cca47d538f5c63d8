"""Two books of one shipment: whatever comes when, however often, they end up the same."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import ShipmentId, SiteId
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1, ShipmentCount, ShipmentLine
from aidmesh_inventory.domain.shipments import (
    Counted,
    Sent,
    Shipment,
    adds_up,
    count_of,
    hear_counts,
    hear_sender,
    is_sound,
    take_count,
)

ORDER = {"preparing": 0, "cancelled": 1, "dispatched": 1, "receiving": 2, "received": 3}
PIECES = st.integers(0, 50)


def line(number: int, quantity: int = 10) -> ShipmentLine:
    return ShipmentLine(line_id=UUID(int=number), item="parcel", quantity=quantity, currency="UAH")


LINES = st.lists(st.integers(1, 40), min_size=1, max_size=5).map(
    lambda quantities: tuple(line(number, each) for number, each in enumerate(quantities, 1))
)


@given(quantity=st.integers(1, 50), good=PIECES, damaged=PIECES)
def test_no_piece_is_lost_or_made_by_counting(quantity: int, good: int, damaged: int) -> None:
    sent = line(1, quantity)
    count = count_of(sent, Counted(good, damaged, "wet"))
    assert quantity == count.good + count.damaged + count.short - count.surplus
    assert not (count.short and count.surplus)
    assert adds_up(sent, count)
    assert not adds_up(sent, count.model_copy(update={"good": good + 1}))


@given(data=st.data(), lines=LINES)
def test_both_books_end_up_the_same_in_any_order(
    data: st.DataObject, lines: tuple[ShipmentLine, ...]
) -> None:
    """Words of the sender and counts are reordered, repeated, and lost until sent again."""
    words = [Shipment("preparing", number, lines[:number]) for number in range(1, len(lines) + 1)]
    words.append(Shipment("dispatched", len(lines) + 1, lines))
    sender = words[-1]
    receiver: Shipment | None = None
    told: list[tuple[ShipmentCount, ...]] = []
    seen: list[str] = []

    def check(book: Shipment) -> None:
        seen.append(book.state)

    for _ in range(data.draw(st.integers(0, 12))):
        act = data.draw(st.sampled_from(("word", "count", "told")))
        if act == "word":
            receiver, differs = hear_sender(receiver, data.draw(st.sampled_from(words)))
            assert not differs
            check(receiver)
        elif act == "count" and receiver is not None:
            chosen = data.draw(st.sampled_from(lines))
            made = take_count(
                receiver, {chosen.line_id: Counted(data.draw(PIECES), data.draw(PIECES), "wet")}
            )
            if isinstance(made, str):
                assert made == (
                    "not-dispatched" if receiver.sent != "dispatched" else "already-counted"
                )
                continue
            receiver, new = made
            assert len(new) == 1
            told.append(tuple(receiver.counts.values()))
            check(receiver)
        elif act == "told" and told:
            heard = hear_counts(sender, data.draw(st.sampled_from(told)))
            assert heard is not None
            assert ORDER[heard[0].state] >= ORDER[sender.state]
            sender = heard[0]
    assert [ORDER[each] for each in seen] == sorted(ORDER[each] for each in seen)
    # In the end everything arrives.
    receiver, _ = hear_sender(receiver, words[-1])
    left = [each for each in lines if each.line_id not in receiver.counts]
    if left:
        done = take_count(
            receiver, {each.line_id: Counted(each.quantity, 0, None) for each in left}
        )
        assert not isinstance(done, str)
        receiver = done[0]
        told.append(tuple(receiver.counts.values()))
    heard = hear_counts(sender, told[-1])
    assert heard is not None
    sender = heard[0]
    assert (sender.state, sender.counts) == (receiver.state, receiver.counts)
    assert sender.state == "received"
    assert not sender.in_transit
    for each in lines:
        assert adds_up(each, sender.counts[each.line_id])


@given(lines=LINES)
def test_a_dispatch_is_final(lines: tuple[ShipmentLine, ...]) -> None:
    left = Shipment("dispatched", 5, lines)
    more = (*lines, line(99))
    for said in (
        Shipment("preparing", 9, more),
        Shipment("cancelled", 9, lines),
        Shipment("preparing", 1, ()),
    ):
        known, differs = hear_sender(left, said)
        assert (known.sent, known.lines, differs) == ("dispatched", lines, False)
    known, differs = hear_sender(left, Shipment("dispatched", 9, more))
    assert (known.lines, differs) == (lines, True)
    assert sum(left.in_transit.values()) == sum(each.quantity for each in lines)


@pytest.mark.parametrize("sent", ["preparing", "cancelled"])
def test_what_left_is_taken_in_whatever_a_sender_told_before_it_was_restored(sent: Sent) -> None:
    before = Shipment(sent, 3, (line(1), line(2)))
    left = Shipment("dispatched", 2, (line(1),))
    assert hear_sender(before, left) == (replace(left, version=3), False)
    assert hear_sender(left, before) == (replace(left, version=3), False)


def test_the_older_word_of_a_sender_is_not_taken() -> None:
    newer = Shipment("preparing", 3, (line(1), line(2)))
    for version in (2, 3):
        other = Shipment("preparing", version, (line(1),))
        assert hear_sender(newer, other) == (newer, False), "nor another one of the same version"


def test_what_is_missing_needs_a_reason_and_a_line_that_was_sent() -> None:
    left = Shipment("dispatched", 1, (line(1), line(2)))
    assert take_count(left, {UUID(int=1): Counted(9, 0, None)}) == "reason-missing"
    assert take_count(left, {UUID(int=1): Counted(11, 0, None)}) == "reason-missing"
    assert take_count(left, {UUID(int=7): Counted(9, 0, "wet")}) == "unknown-line"
    for sent in ("preparing", "cancelled"):
        book = replace(left, sent=sent)
        assert take_count(book, {UUID(int=1): Counted(10, 0, None)}) == "not-dispatched"


def test_counts_that_cannot_be_are_not_believed() -> None:
    left = Shipment("dispatched", 1, (line(1),))
    right = count_of(line(1), Counted(10, 0, None))
    assert hear_counts(left, [right.model_copy(update={"good": 9})]) is None
    assert hear_counts(left, [right.model_copy(update={"line_id": UUID(int=8)})]) is None
    assert hear_counts(replace(left, sent="preparing"), [right]) is None
    assert hear_counts(left, [right, right]) is None
    heard = hear_counts(left, [right])
    assert heard is not None
    assert heard[0].state == "received"


def test_what_left_did_so_on_a_day_with_lines_and_none_twice() -> None:
    said = ShipmentChangedV1(
        shipment_id=ShipmentId(UUID(int=1)),
        from_region="kyiv",
        to_region="lviv",
        from_site_id=SiteId(UUID(int=2)),
        to_site_id=SiteId(UUID(int=3)),
        state="dispatched",
        lines=(line(1), line(2)),
        dispatched_on=date(2024, 5, 6),
        version=1,
    )
    assert is_sound(said)
    for wrong in (
        {"lines": ()},
        {"lines": (line(1), line(1))},
        {"dispatched_on": None},
        {"state": "preparing"},
        {"state": "cancelled"},
    ):
        assert not is_sound(said.model_copy(update=wrong))
    prepared = said.model_copy(update={"state": "preparing", "dispatched_on": None})
    assert is_sound(prepared)
    assert is_sound(prepared.model_copy(update={"lines": ()}))
    assert not is_sound(prepared.model_copy(update={"lines": (line(1), line(1))}))
