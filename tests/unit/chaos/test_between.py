"""What regions do for each other, in the book and in the mesh: a difference is told."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

import pytest

from aidmesh.chaos.book import Book
from aidmesh.chaos.compare import Known, asks_agree, needs_are_right, shipments_agree
from aidmesh.chaos.linked import links_are_as_decided, people_count_once
from aidmesh.chaos.money import money_is_conserved
from aidmesh.chaos.present import accepted_is_present
from aidmesh.chaos.ruled import choices_stand, rules_keep_their_bounds
from aidmesh.chaos.snapshot import Held, Link, Move, Need, Proposal, Rule, Seen, Sent
from aidmesh_contracts.ids import RebalancingId
from aidmesh_payments.domain.rebalancing import allotment_id_of
from unit.chaos.booking import accept, asked

DAY = date(2024, 5, 1)
MOVE = str(UUID(int=900))
MOVED = str(allotment_id_of(RebalancingId(UUID(MOVE))))
ALLOTMENT, TRANSFER, LOOKUP, LINK = "allotment", "transfer", "lookup", "link"
ACCEPTS, ASKS, REFERS = "accepts", "asks", "refers"
SENDS = UUID(int=901)
"""A rule that sends money."""
PEOPLE = {region: [UUID(int=start + no) for no in range(6)]
          for region, start in (("kyiv", 100), ("lviv", 200))}  # fmt: skip
CHECKS = (
    accepted_is_present,
    needs_are_right,
    asks_agree,
    shipments_agree,
    choices_stand,
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
CHOSEN = "needs are chosen by people alone"
SHIPPED = "both ends of a shipment agree"


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
        violations = [violation for check in CHECKS for violation in check(known)]
        assert all(violation.about and all(violation.about) for violation in violations)
        return {violation.promise for violation in violations}


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


def referred(by_rule: str = "", *, chosen: bool = False) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        asked(case.book, "waits", "shelter_night")
        accept(case.book, "refer_rule", answer={"rule_id": "for chosen"}, chosen_only="yes")
        if chosen:
            accept(case.book, "choose", need="waits")
            accept(case.book, "unchoose", need="waits")
        need = Need("shelter_night", "referred", 1, False, None, None, None, None, None,
                    (-20, DAY, 2), False, False, UUID(int=1))  # fmt: skip
        case.kyiv = replace(
            case.kyiv,
            needs={**case.kyiv.needs, "waits": need},
            offered_by_rule={"waits": by_rule} if by_rule else {},
            rules={**case.kyiv.rules, "for chosen": Rule(True, 2, 1)},
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
    ("referred by nobody", referred(), {STATE}),
    ("referred by a rule that nobody set", referred("unknown"), {BOUNDS}),
    ("referred by a rule for chosen needs", referred("for chosen"), {BOUNDS}),
    ("nobody chose it", kyiv(chosen=frozenset({"need"})), {CHOSEN}),
    ("nobody knows of a shipment", kyiv(shipments={"s": "dispatched"}), {SHIPPED}),
    ("a proposal that nobody made", lviv(proposals={"p": Proposal("proposed", None, None)}),
     {MONEY}),
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
    referred(REFERS)(case)
    assert case.found() == set()


def test_a_rule_for_chosen_needs_may_refer_what_was_chosen_then() -> None:
    case = whole()
    referred("for chosen", chosen=True)(case)
    assert case.found() == set()


def test_what_was_chosen_is_chosen_in_the_end() -> None:
    case = whole()
    accept(case.book, "choose", need="need")
    assert case.found() == {CHOSEN}
    kyiv(chosen=frozenset({"need"}))(case)
    assert case.found() == set()
    accept(case.book, "unchoose", need="need")
    assert case.found() == {CHOSEN}


def by_rule(case: Case, *, moves: dict[str, Move], most: int = 100) -> None:
    """A rule has sent money to lviv, at most 60 at once."""
    accept(case.book, "wait_rule", answer={"rule_id": str(SENDS)}, regions="kyiv,lviv",
           move_max_minor="60")  # fmt: skip
    used = sum(move.amount_minor for move in moves.values())
    rules = {**case.kyiv.rules, str(SENDS): Rule(True, most, used)}
    case.kyiv = replace(case.kyiv, rules=rules, moved_by_rule=moves)


def test_what_a_rule_sends_is_there_to_the_cent() -> None:
    new = UUID(int=902)
    case = whole()
    by_rule(case, moves={
        "raised": Move(SENDS, "lviv", 60, UUID(MOVED), None),
        "made": Move(SENDS, "lviv", 30, new, None),
    })  # fmt: skip
    assert case.found() == {MONEY, THERE}
    sent = {**case.kyiv.sent, MOVED: Sent(130, 0, False), str(new): Sent(30, 0, False)}
    held = {MOVED: Held(130, 0, 0, 0, "active"), str(new): Held(30, 0, 0, 0, "active")}
    case.kyiv, case.lviv = replace(case.kyiv, sent=sent), replace(case.lviv, held=held)
    assert case.found() == set()
    held[MOVED] = Held(129, 0, 0, 0, "active")
    assert case.found() == {MONEY}


def test_what_a_rule_proposes_goes_the_way_of_every_proposal() -> None:
    proposal = UUID(int=903)
    case = whole()
    by_rule(case, moves={"proposed": Move(SENDS, "lviv", 20, None, proposal)})
    stands = Proposal("proposed", None, None, UUID(MOVED), "kyiv")
    case.kyiv = replace(case.kyiv, proposals={**case.kyiv.proposals, str(proposal): stands})
    assert case.found() == set()
    accept(case.book, "decline_move", region="lviv", proposal=str(proposal))
    case.lviv = replace(case.lviv, return_asks={str(proposal): "declined"})
    assert case.found() == {MONEY}
    declined = {**case.kyiv.proposals, str(proposal): stands._replace(state="declined")}
    case.kyiv = replace(case.kyiv, proposals=declined)
    assert case.found() == set()


@pytest.mark.parametrize(
    ("move", "most"),
    [
        (Move(SENDS, "lviv", 61, UUID(MOVED), None), 100),
        (Move(SENDS, "odesa", 60, UUID(MOVED), None), 100),
        (Move(UUID(int=904), "lviv", 60, UUID(MOVED), None), 100),
        (Move(SENDS, "lviv", 60, UUID(MOVED), None), 59),
    ],
    ids=["too much at once", "not to that region", "nobody set it", "too much in a week"],
)
def test_a_rule_sends_what_it_was_set_for(move: Move, most: int) -> None:
    case = whole()
    by_rule(case, moves={"sent": move}, most=most)
    amount = 70 + move.amount_minor
    case.kyiv = replace(case.kyiv, sent={**case.kyiv.sent, MOVED: Sent(amount, 0, False)})
    case.lviv = replace(case.lviv, held={MOVED: Held(amount, 0, 0, 0, "active")})
    assert case.found() == {BOUNDS}


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
