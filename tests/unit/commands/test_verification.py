"""What agrees, and what does not, in the eyes of `aidmesh verify`."""

from uuid import UUID, uuid4

import pytest

from aidmesh.verification.across import (
    Commitment,
    Need,
    Needs,
    facts_are_booked,
    holds_belong_to_live_attempts,
    ready_needs_have_their_aid,
    services_agree,
)
from aidmesh.verification.rebalancings import Proposal, odd_rebalancings
from aidmesh.verification.referrals import Referred, Taken, odd_referrals
from aidmesh.verification.shipments import Side, odd_shipments
from aidmesh.verification.transfers import Transfer, odd_transfers

NEED = UUID(int=1)


def need(
    state: str,
    *,
    paid_by: str | None = None,
    issued: int = 0,
    settled: str | None = None,
    given: bool = False,
) -> Need:
    return Need(1, state, issued, given, settled, of_supply=paid_by != "payout", paid_by=paid_by)


def money(state: str, purpose: str = "provider") -> Commitment:
    return Commitment(uuid4(), state, purpose)


@pytest.mark.parametrize(
    ("state", "reservation", "fits"),
    [
        ("approved", "held", True),
        ("held", "confirmed", True),
        ("ready", "confirmed", True),
        ("fulfilled", "confirmed", False),
        ("cancelled", "confirmed", False),
        ("waitlisted", "held", False),
        ("cancelled", "released", True),
    ],
)
def test_goods_are_held_for_running_attempts_only(state: str, reservation: str, fits: bool) -> None:
    known = Needs({NEED: need(state, issued=1)}, {(NEED, 1): reservation}, {})

    assert holds_belong_to_live_attempts("kyiv", known).ok is fits


@pytest.mark.parametrize(
    ("state", "commitment", "fits"),
    [
        ("ready", money("committed"), True),
        ("fulfilled", money("committed"), True),  # the provider is still owed
        ("fulfilled", money("committed", "payout"), False),
        ("fulfilled", money("held"), False),
        ("cancelled", money("committed", "payout"), False),
    ],
)
def test_money_outlives_an_attempt_only_while_a_provider_is_owed(
    state: str, commitment: Commitment, fits: bool
) -> None:
    needs = {NEED: need(state, paid_by=commitment.purpose, issued=1)}
    known = Needs(needs, {}, {(NEED, 1): commitment})

    assert holds_belong_to_live_attempts("kyiv", known).ok is fits


def test_money_that_may_have_left_stays_until_a_person_has_looked() -> None:
    commitment = money("committed", "payout")
    needs = {NEED: need("cancelled", paid_by="payout")}
    odd = frozenset({commitment.id})

    looked = Needs(needs, {}, {(NEED, 1): commitment})
    unlooked = Needs(needs, {}, {(NEED, 1): commitment}, odd_commitments=odd)

    assert not holds_belong_to_live_attempts("kyiv", looked).ok
    assert holds_belong_to_live_attempts("kyiv", unlooked).ok


def test_a_hold_of_an_older_attempt_or_of_nobody_is_stray() -> None:
    needs = {NEED: need("ready")._replace(attempt_no=2)}

    assert not holds_belong_to_live_attempts("kyiv", Needs(needs, {(NEED, 1): "held"}, {})).ok
    assert not holds_belong_to_live_attempts("kyiv", Needs({}, {(NEED, 1): "held"}, {})).ok


@pytest.mark.parametrize(
    ("reservation", "commitment", "fits"),
    [
        ("confirmed", money("committed"), True),
        ("held", money("committed"), False),
        ("expired", money("committed"), False),
        (None, money("committed"), False),
        ("confirmed", money("held"), False),
        ("confirmed", money("released"), False),
        ("confirmed", None, False),
    ],
)
def test_who_was_told_to_come_finds_what_was_promised(
    reservation: str | None, commitment: Commitment | None, fits: bool
) -> None:
    known = Needs(
        {NEED: need("ready", paid_by="provider")},
        {} if reservation is None else {(NEED, 1): reservation},
        {} if commitment is None else {(NEED, 1): commitment},
    )

    assert ready_needs_have_their_aid("kyiv", known).ok is fits


def test_what_takes_neither_goods_nor_money_is_ready_without() -> None:
    bare = need("ready")._replace(of_supply=False)

    assert ready_needs_have_their_aid("kyiv", Needs({NEED: bare}, {}, {})).ok


@pytest.mark.parametrize("is_listed", [True, False])
def test_cash_without_money_behind_it_is_asked_about(is_listed: bool) -> None:
    needs = {NEED: need("fulfilled", paid_by="payout", issued=1)}
    odd = frozenset({NEED}) if is_listed else frozenset()
    known = Needs(needs, {}, {(NEED, 1): money("released", "payout")}, odd_needs=odd)

    assert services_agree("kyiv", known).ok is is_listed


@pytest.mark.parametrize(
    ("paid_by", "reservation", "commitment", "fits"),
    [
        (None, "issued", None, True),
        (None, "confirmed", None, False),
        (None, None, None, False),
        ("provider", "issued", "spent", True),
        ("provider", "issued", "committed", True),
        ("provider", "issued", "released", False),
        ("provider", "issued", None, False),
        ("provider", None, "spent", False),
        ("payout", None, "spent", True),
        ("payout", None, "committed", False),
    ],
)
def test_every_part_of_a_service_was_given(
    paid_by: str | None, reservation: str | None, commitment: str | None, fits: bool
) -> None:
    known = Needs(
        {NEED: need("fulfilled", paid_by=paid_by, issued=1)},
        {} if reservation is None else {(NEED, 1): reservation},
        {} if commitment is None else {(NEED, 1): money(commitment, paid_by or "")},
    )

    assert services_agree("kyiv", known).ok is fits


def test_a_provider_whose_money_is_a_discrepancy_is_somebody_s_task() -> None:
    needs = {NEED: need("fulfilled", paid_by="provider", issued=1)}
    served = {(NEED, 1): "issued"}
    odd = frozenset({NEED})

    assert not services_agree("kyiv", Needs(needs, served, {(NEED, 1): money("released")})).ok
    known = Needs(needs, served, {(NEED, 1): money("released")}, odd_needs=odd)
    assert services_agree("kyiv", known).ok


@pytest.mark.parametrize(
    ("found", "attempt_no", "fits"),
    [
        (need("ready"), 1, False),
        (need("ready", settled="taken_back"), 1, False),
        (need("ready", settled="given_twice"), 1, True),
        (need("cancelled"), 0, True),
    ],
)
def test_what_went_out_is_a_service(found: Need, attempt_no: int, fits: bool) -> None:
    known = Needs({NEED: found}, {(NEED, attempt_no): "issued"}, {})

    assert services_agree("kyiv", known).ok is fits


@pytest.mark.parametrize(
    ("state", "reservation", "commitment", "asked_about", "fits"),
    [
        ("fulfilled", "issued", "spent", False, True),
        ("fulfilled", "issued", None, True, True),
        ("fulfilled", "issued", None, False, False),
        ("fulfilled", None, "spent", False, False),
        ("cancelled", "released", "released", False, True),
        ("cancelled", "issued", "released", False, False),
        ("cancelled", "released", "spent", False, False),
    ],
)
def test_aid_entered_as_given_is_booked_while_it_stands(
    state: str, reservation: str | None, commitment: str | None, asked_about: bool, fits: bool
) -> None:
    known = Needs(
        {NEED: need(state, paid_by="provider", given=True)},
        {} if reservation is None else {(NEED, 0): reservation},
        {} if commitment is None else {(NEED, 0): money(commitment)},
        odd_needs=frozenset({NEED} if asked_about else ()),
    )

    assert facts_are_booked("kyiv", known).ok is fits


@pytest.mark.parametrize(
    ("to", "known_to", "odd"),
    [
        ("lviv", {"kyiv": "in_transit", "lviv": "received"}, "kyiv was never told"),
        ("lviv", {"kyiv": "received", "lviv": "received"}, None),
        ("lviv", {"kyiv": "in_transit"}, "known to kyiv only"),
        ("lviv", {"kyiv": "received", "lviv": "in_transit"}, "never arrived"),
        ("odesa", {"kyiv": "in_transit"}, None),
        ("lvov", {"kyiv": "in_transit"}, "kyiv knows no region lvov"),
        ("kyiv", {"kyiv": "received"}, None),
    ],
)
def test_money_that_left_for_nobody_is_told(
    to: str, known_to: dict[str, str], odd: str | None
) -> None:
    seen = {NEED: {name: Transfer("kyiv", to, 5, "UAH", state) for name, state in known_to.items()}}
    found = odd_transfers(seen, {"kyiv", "lviv"}, {"kyiv": ["odesa"], "lviv": []})
    assert len(found) == (odd is not None)
    assert odd is None or odd in found[0]


@pytest.mark.parametrize(
    ("made", "asked", "odd"),
    [
        ("moved", "returned", None),
        ("withdrawn", "returned", None),
        ("withdrawn", "declined", None),
        ("lapsed", "lapsed", None),
        ("proposed", "prepared", None),
        ("proposed", "declined", "is proposed, at its holder declined"),
        ("withdrawn", "prepared", "is withdrawn, at its holder prepared"),
        ("moved", None, "known to kyiv only"),
        (None, "asked", "known to lviv only"),
    ],
)
def test_both_ends_of_a_proposal_know_how_it_ended(
    made: str | None, asked: str | None, odd: str | None
) -> None:
    back = 5 if asked == "returned" or asked is None else None
    of_grantors = {NEED: Proposal("kyiv", "lviv", made, back)} if made else {}
    of_holders = {NEED: Proposal("kyiv", "lviv", asked, back)} if asked else {}
    found = odd_rebalancings(of_grantors, of_holders, {"kyiv", "lviv"}, {"kyiv": [], "lviv": []})
    assert len(found) == (odd is not None)
    assert odd is None or odd in found[0]
    if made and asked and odd is None:
        other = {NEED: Proposal("kyiv", "lviv", asked, 4)}
        found = odd_rebalancings(of_grantors, other, {"kyiv", "lviv"}, {})
        assert [each.endswith("brought back two amounts") for each in found] == [True]


@pytest.mark.parametrize(
    ("status", "state", "there", "odd"),
    [
        ("confirmed", "referred", Taken("kyiv", "confirmed", "fulfilled", pending=False), None),
        ("confirmed", "referred", Taken("kyiv", "refused", "cancelled", pending=True), None),
        ("confirmed", "referred", None, "has no need"),
        ("confirmed", "referred", Taken("kyiv", "withdrawn", None, pending=False), "has no need"),
        ("confirmed", "ready", Taken("kyiv", "confirmed", "ready", pending=False), "and is ready"),
        (
            "confirmed",
            "referred",
            Taken("kyiv", "accepted", "approved", pending=True),
            "never let go",
        ),
        ("withdrawn", "ready", Taken("kyiv", "withdrawn", "cancelled", pending=True), None),
        ("withdrawn", "ready", None, None),
        ("offered", "waitlisted", Taken("kyiv", "accepted", "approved", pending=True), None),
        (
            "lapsed",
            "ready",
            Taken("kyiv", "confirmed", "ready", pending=False),
            "served in two regions",
        ),
        (
            "refused",
            "ready",
            Taken("kyiv", "refused", "waitlisted", pending=True),
            "still held",
        ),
        ("offered", "waitlisted", Taken("odesa", "offered", None, pending=False), "for odesa's"),
    ],
)
def test_a_referred_need_is_served_once_where_it_went(
    status: str, state: str, there: Taken | None, odd: str | None
) -> None:
    one = UUID(int=2)
    offers = {one: Referred(NEED, "kyiv", "lviv", status, state)}
    taken = {"kyiv": {}, "lviv": {} if there is None else {one: there}}
    found = odd_referrals(offers, taken, {"kyiv": [], "lviv": []})
    assert [odd in each for each in found] == [True] if odd else found == []
    if there is not None and there.from_region == "kyiv":
        assert "unknown" in odd_referrals({}, taken, {"kyiv": [], "lviv": []})[0]
    away = {one: Referred(NEED, "kyiv", "odesa", status, state)}
    nowhere: dict[str, dict[UUID, Taken]] = {"kyiv": {}, "lviv": {}}
    assert odd_referrals(away, nowhere, {"kyiv": ["odesa"], "lviv": []}) == []
    assert len(odd_referrals(away, nowhere, {"kyiv": [], "lviv": []})) == 1


@pytest.mark.parametrize(
    ("by_region", "odd"),
    [
        ({"kyiv": 3, "lviv": 3}, None),
        ({"kyiv": 3, "lviv": 4}, "not the same"),
        ({"kyiv": 3}, "known to kyiv only"),
    ],
)
def test_a_shipment_is_the_same_at_both_ends(by_region: dict[str, int], odd: str | None) -> None:
    seen = {
        NEED: {
            name: Side("kyiv", "lviv", "dispatched", ((NEED, "parcel", pieces),))
            for name, pieces in by_region.items()
        }
    }
    found = odd_shipments(seen, {"kyiv", "lviv"}, {"kyiv": [], "lviv": []})
    assert len(found) == (odd is not None)
    assert odd is None or odd in found[0]
    # The other end on another machine is looked at there, but it has to be known.
    alone = {NEED: {"kyiv": seen[NEED]["kyiv"]}}
    assert odd_shipments(alone, {"kyiv"}, {"kyiv": ["lviv"]}) == []
    assert "knows no region lviv" in odd_shipments(alone, {"kyiv"}, {"kyiv": []})[0]
