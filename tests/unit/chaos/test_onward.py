"""What was shown once is never shown further back, and sums that were shown add up."""

from dataclasses import replace

import pytest

from aidmesh.chaos.book import Book
from aidmesh.chaos.compare import Known
from aidmesh.chaos.onward import grants_add_up, nothing_goes_back
from aidmesh.chaos.sightings import LATER
from aidmesh.chaos.snapshot import Payout, Proposal, Seen
from unit.chaos.test_between import empty

THING = "thing"
GRANT, ALLOTMENT = (f"00000000-0000-4000-8000-{number:012}" for number in (1, 2))
WAYS = [
    ("shipment", ["preparing", "dispatched", "receiving", "received"]),
    ("shipment", ["preparing", "received"]),
    ("shipment", ["preparing", "cancelled"]),
    ("ask", ["asked", "accepted", "withdrawn"]),
    ("offer", ["offered", "confirmed"]),
    ("referral", ["offered", "taken", "accepted", "confirmed"]),
    ("proposal", ["proposed", "returned", "moved"]),
    ("return_ask", ["asked", "prepared", "returned"]),
    ("order", ["received", "exported", "settled", "returned"]),
    ("need", ["ready", "fulfilled", "ready", "waitlisted", "referred"]),
]


def seen_in(kind: str, state: str) -> Seen:
    """Kyiv in the end."""
    states = {THING: state}
    seen = empty("kyiv")
    match kind:
        case "ask":
            return replace(seen, transfers=states)
        case "shipment":
            return replace(seen, shipments=states)
        case "offer":
            return replace(seen, offers=states)
        case "referral":
            return replace(seen, referrals=states)
        case "proposal":
            return replace(seen, proposals={THING: Proposal(state, None, None)})
        case "return_ask":
            return replace(seen, return_asks=states)
        case "order":
            return replace(seen, orders={THING: Payout(state, None, None)})
    return seen


def shown(kind: str, states: list[str], end: str) -> list[str]:
    book = Book()
    for state in states:
        book.shown.see("kyiv", kind, THING, state)
    known = Known(book, {"kyiv": seen_in(kind, end)}, [], frozenset())
    return [each.what for each in nothing_goes_back(known)]


@pytest.mark.parametrize(("kind", "way"), [way for way in WAYS if way[0] != "need"])
def test_a_thing_goes_its_way(kind: str, way: list[str]) -> None:
    assert shown(kind, way, way[-1]) == []
    assert shown(kind, way[:1], way[-1]) == []
    back = shown(kind, [*way, way[0]], way[0])
    assert len(back) == 1
    assert f"was {way[-1]}, then {way[0]}" in back[0]


@pytest.mark.parametrize(("kind", "way"), [way for way in WAYS if way[0] != "need"])
def test_what_is_further_back_or_gone_in_the_end_is_told(kind: str, way: list[str]) -> None:
    assert "in the end" in shown(kind, way, way[0])[0]
    assert "is gone" in shown(kind, way, "")[0] if kind == "need" else True
    book = Book()
    book.shown.see("kyiv", kind, THING, way[0])
    [gone] = nothing_goes_back(Known(book, {"kyiv": empty("kyiv")}, [], frozenset()))
    assert "is gone" in gone.what


def test_a_need_that_was_referred_stays_so() -> None:
    book = Book()
    for state in ("ready", "waitlisted", "ready", "referred", "waitlisted"):
        book.shown.see("kyiv", "need", "n", state)
    assert [step.after for step in book.shown.steps if step.is_back] == ["waitlisted"]


def test_what_another_region_shows_is_another_thing() -> None:
    book = Book()
    book.shown.see("kyiv", "shipment", THING, "received")
    book.shown.see("lviv", "shipment", THING, "dispatched")
    assert book.shown.steps == []


def test_every_state_that_is_named_leads_to_states_that_are() -> None:
    for kind, states in LATER.items():
        for state, later in states.items():
            assert kind == "need" or later <= states.keys(), (kind, state)


def test_what_did_not_add_up_when_a_grant_was_shown_is_told() -> None:
    book = Book()
    known = Known(book, {}, [], frozenset())
    book.shown.see_grant("kyiv", GRANT, [])
    assert list(grants_add_up(known)) == []
    book.shown.see_grant("kyiv", GRANT, [f"allotment {ALLOTMENT}: 9 sent, 10 arrived"])
    [violation] = grants_add_up(known)
    assert violation.about == (GRANT, ALLOTMENT)
    assert book.shown.grants == 2
