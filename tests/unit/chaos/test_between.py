"""What regions do for each other, in the book and in the mesh: a difference is told."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

import pytest

from aidmesh.chaos.book import Book
from aidmesh.chaos.compare import Known, asks_agree, needs_are_right, rules_keep_their_bounds
from aidmesh.chaos.linked import links_are_as_decided, people_count_once
from aidmesh.chaos.money import money_is_conserved
from aidmesh.chaos.present import accepted_is_present
from aidmesh.chaos.snapshot import Held, Link, Need, Proposal, Rule, Seen, Sent
from aidmesh_contracts.ids import RebalancingId
from aidmesh_payments.domain.rebalancing import allotment_id_of
from unit.chaos.booking import accept, asked

DAY = date(2024, 5, 1)
MOVE = str(UUID(int=900))
MOVED = str(allotment_id_of(RebalancingId(UUID(MOVE))))
ALLOTMENT, TRANSFER, LOOKUP, LINK = "allotment", "transfer", "lookup", "link"
ACCEPTS, ASKS, REFERS = "accepts", "asks", "refers"
PEOPLE = {region: [UUID(int=start + no) for no in range(6)]
          for region, start in (("kyiv", 100), ("lviv", 200))}  # fmt: skip
CHECKS = (
    accepted_is_present,
    needs_are_right,
    asks_agree,
    rules_keep_their_bounds,
    money_is_conserved,
    links_are_as_decided,
    people_count_once,
)
THERE = "accepted is present"
MONEY = "allotments and ledgers are conserved to the cent"
AGREE = "both ends of an ask agree"
LINKED = "people in two regions are linked in both, as both say"
COUNTED = "people in two regions count once"
BOUNDS = "rules keep to their bounds"
STATE = "every need is in a right state"


@dataclass
class Case:
    """A book, and two regions in which it is all true."""

    book: Book = field(default_factory=Book)
    kyiv: Seen = field(default_factory=lambda: empty("kyiv"))
    lviv: Seen = field(default_factory=lambda: empty("lviv"))
    people: dict[str, int | None] = field(default_factory=lambda: {"kyiv": 11, "lviv": 11})

    def found(self) -> set[str]:
        """The promises that are not kept."""
        world = {"kyiv": self.kyiv, "lviv": self.lviv}
        known = Known(self.book, world, [], frozenset(), self.people)
        return {violation.promise for check in CHECKS for violation in check(known)}


def empty(region: str) -> Seen:
    return Seen(
        region=region, needs={}, reservations={}, lots={}, receipts={}, nights=(), beds=(),
        free_seats=0, payouts={}, orders={}, instalments={}, sent={}, held={}, messages={},
        transfers={}, shipments={}, offers={}, referrals={},
    )  # fmt: skip


def whole() -> Case:
    case = Case()
    book = case.book
    for region, people in PEOPLE.items():
        for person in people:
            asked(book, f"need-{person}", "food_parcel", region)
            accept(book, "issue", region=region, need=f"need-{person}")
    accept(book, "instalment", grant="g", amount_minor="900", reference="in")
    accept(book, "allot", answer={"allotment_id": ALLOTMENT}, to="kyiv", amount_minor="500")
    accept(book, "propose_move", answer={"rebalancing_id": MOVE}, allotment=ALLOTMENT,
           holder="kyiv", to="lviv")  # fmt: skip
    accept(book, "serve_wait", answer={"allotment_id": ALLOTMENT}, to="kyiv", amount_minor="40")
    accept(book, "sign_move", proposal=MOVE)
    accept(book, "prepare_move", proposal=MOVE)
    accept(book, "consent_move", proposal=MOVE, allotment=ALLOTMENT, amount_minor="70")
    accept(book, "ask_goods", answer={"transfer_id": TRANSFER})
    accept(book, "accept_goods", region="lviv", transfer=TRANSFER)
    accept(book, "withdraw_goods", transfer=TRANSFER)
    accept(book, "look_for", answer={"lookup_id": LOOKUP}, person=str(PEOPLE["kyiv"][0]),
           other="lviv", theirs=str(PEOPLE["lviv"][0]))  # fmt: skip
    for region in PEOPLE:
        accept(book, "confirm_link", region=region, link=LINK)
    accept(book, "accept_rule", answer={"rule_id": ACCEPTS})
    accept(book, "ask_rule", answer={"rule_id": ASKS})
    accept(book, "end_ask_rule", rule=ASKS)
    accept(book, "refer_rule", answer={"rule_id": REFERS})
    needs = {
        region: {
            f"need-{person}": Need("food_parcel", "fulfilled", 1, False, None, None, None, None,
                                   None, (-20, DAY, 1), False, True, person)
            for person in people
        }
        for region, people in PEOPLE.items()
    }  # fmt: skip
    case.kyiv = replace(
        case.kyiv,
        needs=needs["kyiv"],
        instalments={"in": 900},
        sent={ALLOTMENT: Sent(540, 70, False), MOVED: Sent(70, 0, False)},
        held={ALLOTMENT: Held(540, 70, 0, 0, "active")},
        transfers={TRANSFER: "withdrawn"},
        proposals={MOVE: Proposal("moved", 70, None)},
        return_asks={MOVE: "returned"},
        lookups={LOOKUP: "matched"},
        links={LINK: Link("lviv", PEOPLE["kyiv"][0], "yes", "yes")},
        rules={ACCEPTS: Rule(True, 9, 9), ASKS: Rule(False, 9, 0), REFERS: Rule(True, 2, 1)},
    )
    case.lviv = replace(
        case.lviv,
        needs=needs["lviv"],
        held={MOVED: Held(70, 0, 0, 0, "active")},
        transfers={TRANSFER: "withdrawn"},
        links={LINK: Link("kyiv", PEOPLE["lviv"][0], "yes", "yes")},
    )
    return case


def kyiv(**fields: object) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        case.kyiv = replace(case.kyiv, **fields)  # type: ignore[arg-type]

    return change


def lviv(**fields: object) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        case.lviv = replace(case.lviv, **fields)  # type: ignore[arg-type]

    return change


def shown(people: dict[str, int | None]) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        case.people = people

    return change


def without(*what: str) -> Callable[[Case], None]:
    """As if the mesh had done what nobody asked it to do."""

    def change(case: Case) -> None:
        case.book.ops = [op for op in case.book.ops if op.what not in what]

    return change


def referred(*, by_rule: bool) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        asked(case.book, "waits", "shelter_night")
        need = Need("shelter_night", "referred", 1, False, None, None, None, None, None,
                    (-20, DAY, 2), False, False, UUID(int=1))  # fmt: skip
        offered = frozenset({"waits"} if by_rule else ())
        case.kyiv = replace(
            case.kyiv, needs={**case.kyiv.needs, "waits": need}, offered_by_rule=offered
        )

    return change


BROKEN: list[tuple[str, Callable[[Case], None], set[str]]] = [
    ("a proposal is gone", kyiv(proposals={}), {THERE}),
    ("consented, and nothing came", kyiv(proposals={MOVE: Proposal("proposed", None, None)}),
     {MONEY}),
    ("it is stuck", kyiv(proposals={MOVE: Proposal("returned", 70, "line-exceeded")}), {MONEY}),
    ("less came back", kyiv(proposals={MOVE: Proposal("moved", 69, None)}), {MONEY}),
    ("what came back came twice", kyiv(sent={ALLOTMENT: Sent(540, 140, False),
                                             MOVED: Sent(70, 0, False)}), {MONEY}),
    ("what moved never arrived", lviv(held={}), {THERE}),
    ("a cent of it is gone", lviv(held={MOVED: Held(69, 0, 0, 0, "active")}), {MONEY}),
    ("it went without a second person", without("sign_move"), {MONEY}),
    ("what was sent for a wait never left", kyiv(sent={ALLOTMENT: Sent(500, 70, False),
                                                       MOVED: Sent(70, 0, False)}), {MONEY}),
    ("nobody consented", without("consent_move"), {MONEY}),
    ("the holder forgot it", kyiv(return_asks={}), {THERE}),
    ("an ask stands that was withdrawn", kyiv(transfers={TRANSFER: "accepted"}), {THERE, AGREE}),
    ("one side never heard it", lviv(transfers={TRANSFER: "accepted"}), {AGREE}),
    ("nobody withdrew it", without("withdraw_goods"), {AGREE}),
    ("nobody was found", kyiv(lookups={LOOKUP: "nothing"}), {THERE}),
    ("one side has no link", lviv(links={}), {LINKED, COUNTED}),
    ("two sides say two things",
     lviv(links={LINK: Link("kyiv", PEOPLE["lviv"][0], "no", "yes")}), {LINKED}),
    ("a link of other people", lviv(links={LINK: Link("kyiv", PEOPLE["lviv"][1], "yes", "yes")}),
     {LINKED}),
    ("nobody decided", without("confirm_link"), {LINKED}),
    ("nobody looked", without("look_for"), {LINKED}),
    ("they count twice", shown({"kyiv": 11, "lviv": 12}), {COUNTED}),
    ("one region shows nothing", shown({"kyiv": None, "lviv": 11}), {COUNTED}),
    ("a rule is gone", kyiv(rules={}), {THERE}),
    ("a rule goes on", kyiv(rules={ACCEPTS: Rule(True, 9, 9), ASKS: Rule(True, 9, 0),
                                   REFERS: Rule(True, 2, 1)}), {THERE}),
    ("a rule gave too much", kyiv(rules={ACCEPTS: Rule(True, 9, 10), ASKS: Rule(False, 9, 0),
                                         REFERS: Rule(True, 2, 1)}), {BOUNDS}),
    ("referred by nobody", referred(by_rule=False), {STATE}),
]  # fmt: skip


def test_what_is_as_it_should_be_is_no_violation() -> None:
    assert whole().found() == set()


@pytest.mark.parametrize(
    ("change", "promises"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN]
)
def test_what_is_broken_is_found(change: Callable[[Case], None], promises: set[str]) -> None:
    case = whole()
    change(case)
    assert case.found() == promises


def test_a_rule_may_refer_what_waits() -> None:
    case = whole()
    referred(by_rule=True)(case)
    assert case.found() == set()


def test_a_proposal_is_where_what_was_said_of_it_leads() -> None:
    for said, state in (
        ((), "proposed"), (("sign_move",), "proposed"), (("decline_move",), "declined"),
        (("withdraw_move",), "withdrawn"), (("decline_move", "withdraw_move"), "withdrawn"),
    ):  # fmt: skip
        case = whole()
        without("sign_move", "prepare_move", "consent_move")(case)
        for what in said:
            accept(case.book, what, proposal=MOVE)
        kyiv(
            proposals={MOVE: Proposal(state, None, None)},
            return_asks={MOVE: "declined" if "decline_move" in said else "asked"},
            sent={ALLOTMENT: Sent(540, 0, False)},
            held={ALLOTMENT: Held(540, 0, 0, 0, "active")},
        )(case)
        lviv(held={})(case)
        assert case.found() == set(), said


def test_what_is_sent_for_a_wait_may_raise_what_a_move_made() -> None:
    case = whole()
    accept(case.book, "serve_wait", answer={"allotment_id": MOVED}, to="lviv", amount_minor="30")
    assert case.found() == {MONEY}
    case.kyiv = replace(case.kyiv, sent={**case.kyiv.sent, MOVED: Sent(100, 0, False)})
    case.lviv = replace(case.lviv, held={MOVED: Held(100, 0, 0, 0, "active")})
    assert case.found() == set()
