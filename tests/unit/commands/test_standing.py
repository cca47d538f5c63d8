"""How a need stands is said in a line, with who does what about it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from aidmesh.story.links import SEE_LINK
from aidmesh.story.standing import (
    AGAIN,
    ASKED,
    BY_DECLINED,
    BY_MESSAGE,
    BY_PAYOUT,
    BY_WAIT,
    DECLINED,
    ENTER,
    HINDRANCES,
    IN_PERSON,
    MAYBE_PAID,
    MORE_OF,
    NO_DETAILS,
    ON_TRIAL,
    PAID_UNKNOWN,
    TOLD_UNKNOWN,
    WAKES,
    Aside,
    Lack,
    items_of,
    lack_of,
    of_needs,
    standing,
    todo_of,
)
from aidmesh.story.supplies import feeds
from aidmesh.story.there import ENOUGH, GROWING
from aidmesh.story.told import Json
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain.limits import Hindrance
from aidmesh_intake.domain.need import Lack as NeedLack
from aidmesh_intake.domain.need import Leg, Wait
from aidmesh_intake.domain.steps import ASKER_LEFT, CHANGED
from aidmesh_payments.domain.payout import PayoutState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEED = UUID(int=1)
WAITS: Json = {
    "id": NEED, "state": "waitlisted", "attempt_no": 2, "changed_at": NOW, "deadline_at": None,
    "blocked_resource": "stock", "blocked_code": "hormone_pack", "wait": "short",
    "blocked_quantity": 5,
    "also_lacks": None,
    "sensitive": False, "attention": None, "reason": None, "supply": 0, "money": 0,
    "told_at": None, "told_how": None, "message": None, "person_id": UUID(int=2),
    "pending": False, "offered_to": None, "offered_until": None, "from_region": None,
}  # fmt: skip
READY: Json = {**WAITS, "state": "ready", "wait": None, "blocked_resource": None}
TOLD: Json = {**READY, "told_at": NOW, "told_how": "message"}
DRAFT: Json = {"need_id": NEED, "id": UUID(int=9), "state": "draft", "reason": None,
               "recorded_at": NOW - timedelta(hours=5), "assigned_to": None, "withdrawal": None,
               "has_details": True, "is_doubted": False}  # fmt: skip
LVIV: Json = {"state": "approved", "assigned_to": "lviv"}


def message(state: str, reason: str | None = None, due_at: datetime = NOW) -> Aside:
    row = {"need_id": NEED, "state": state, "reason": reason, "due_at": due_at}
    return Aside(message=row)


def test_what_it_waits_for_is_said_unless_it_is_sensitive() -> None:
    found = standing(WAITS, NOW)
    assert found.line == (
        f"need {NEED} is waitlisted since 2026-03-01 12:00 (attempt 2): "
        "waits for stock hormone_pack (short)"
    )
    assert found.todo == (MORE_OF["stock"] + WAKES,)
    assert "hormone" not in standing({**WAITS, "sensitive": True}, NOW).line


NO_MONEY = Lack("money", "medical/UAH", "restricted")


def test_all_that_an_attempt_lacked_is_said_with_what_to_do_about_each() -> None:
    both = {**WAITS, "blocked_resource": "slot", "blocked_code": "doctor", "also_lacks": NO_MONEY}
    found = standing(both, NOW)
    assert found.line.endswith(
        ": waits for slot doctor (short); besides it lacked money medical/UAH (restricted)"
    )
    assert found.todo == (MORE_OF["slot"] + WAKES, BY_WAIT["restricted"])
    short = standing({**both, "also_lacks": Lack("money", "medical/UAH", "short")}, NOW)
    assert short.todo[1] == MORE_OF["money"], "money alone wakes nobody who waits for a slot"
    hidden = standing({**both, "sensitive": True}, NOW)
    assert hidden.line.endswith(": waits for slot (short); besides it lacked money (restricted)")
    assert hidden.todo == found.todo


def test_what_else_it_lacks_is_read_as_intake_wrote_it() -> None:
    fee = BlockedBy(resource="money", code="medical/UAH", quantity=100)
    written = NeedLack(blocked_by=fee, wait=Wait.RESTRICTED).model_dump_json(exclude_defaults=True)
    assert lack_of(written) == NO_MONEY
    assert lack_of(None) is None


def test_an_item_that_nobody_has_entered_is_to_be_entered() -> None:
    assert items_of([WAITS, {**WAITS, "also_lacks": NO_MONEY}, READY]) == ["hormone_pack"]
    found = standing(WAITS, NOW, unknown_items={"hormone_pack"})
    assert found.line.endswith(": waits for stock hormone_pack (not entered)")
    assert found.todo == (ENTER.format(item="item hormone_pack") + WAKES,)
    hidden = standing({**WAITS, "sensitive": True}, NOW, unknown_items={"hormone_pack"})
    assert "hormone" not in hidden.line + hidden.todo[0]
    other = standing({**WAITS, "blocked_resource": "slot"}, NOW, unknown_items={"hormone_pack"})
    assert other.todo == (MORE_OF["slot"] + WAKES,), "a slot may be called like an item"
    offered = standing({**WAITS, "wait": "offered"}, NOW, unknown_items={"hormone_pack"})
    assert "another region was asked" in offered.todo[0], "goods would not wake it"
    (one,) = of_needs([WAITS], NOW, [], [], [], unknown_items={"hormone_pack"})
    assert one == found


def test_nothing_is_said_of_what_could_not_be_asked() -> None:
    found = standing(READY, NOW, Aside(unasked={"notification"}))
    assert found.line.endswith(f": {TOLD_UNKNOWN}")
    assert found.todo == ()
    silent = Aside(unasked={"payments"})
    paid = standing({**TOLD, "money": Leg.FIRM}, NOW, silent)
    assert paid.line.endswith(f"; {PAID_UNKNOWN}"), "it may be a payout, with nothing to hand over"
    assert standing(TOLD, NOW, silent).line.endswith("; waits to be handed over")
    (one,) = of_needs([READY], NOW, [], [], [], unasked={"notification"})
    assert one == found


@pytest.mark.parametrize(
    ("need", "aside", "line", "todo"),
    [
        (WAITS, Aside(free=3), "(short); one site there has 3 of the 5 that it needs", None),
        (WAITS, Aside(free=5), "(short); one site there has 5, and it needs 5", ENOUGH),
        ({**WAITS, "wait": "behind"}, Aside(free=9), "(behind); one site there has 9", ENOUGH),
        (WAITS, Aside(free=9, is_growing=True), "and intake has not taken that in", GROWING),
        ({**WAITS, "wait": "offered"}, Aside(free=9, is_growing=True), "(offered)", None),
        ({**WAITS, "blocked_resource": "slot"}, Aside(is_growing=True), "not taken that", GROWING),
    ],
)
def test_what_is_there_by_now_is_said_of_what_waits_for_it(
    need: Json, aside: Aside, line: str, todo: str | None
) -> None:
    found = standing(need, NOW, aside)
    assert line in found.line
    assert (found.todo[0] == todo) == (todo is not None)
    of_it = {NEED: aside.free}, {NEED} if aside.is_growing else ()
    assert of_needs([need], NOW, [], [], [], free=of_it[0], growing=of_it[1]) == [found]


GREW: Json = {"resource": "stock", "code": "hormone_pack", "site_id": str(UUID(int=7)),
              "area": "UA8001", "grew_at": (NOW + timedelta(hours=1)).isoformat()}  # fmt: skip
FUNDS: Json = {"currency": "UAH", "programmes": ["medical"], "grew_at": GREW["grew_at"]}
SHORT: Json = {**WAITS, "decided_at": NOW, "waiting_since": NOW, "blocked_site": None,
               "blocked_area": "UA80"}  # fmt: skip
MONEY: Json = {**SHORT, "blocked_resource": "money", "blocked_code": "medical/UAH"}


@pytest.mark.parametrize(
    ("grew", "need", "is_it"),
    [
        (GREW, SHORT, True),
        (GREW, {**SHORT, "decided_at": None}, True),
        (GREW, {**SHORT, "blocked_site": UUID(int=7), "blocked_area": None}, True),
        (GREW, {**SHORT, "blocked_site": UUID(int=8)}, False),
        (GREW, {**SHORT, "blocked_area": "UA46"}, False),
        (GREW, {**SHORT, "blocked_code": "other"}, False),
        (GREW, {**SHORT, "decided_at": NOW + timedelta(hours=2)}, False),
        (GREW, {**SHORT, "decided_at": NOW + timedelta(hours=1, seconds=4)}, True),
        ({**GREW, "freed_by": str(NEED)}, SHORT, False),
        (GREW, MONEY, False),
        (FUNDS, MONEY, True),
        ({**FUNDS, "programmes": None}, MONEY, True),
        ({**FUNDS, "programmes": ["food"]}, MONEY, False),
        ({**FUNDS, "currency": "EUR"}, MONEY, False),
    ],
)
def test_growth_is_of_what_a_need_waits_for_as_intake_sees_it(
    grew: Json, need: Json, is_it: bool
) -> None:
    assert feeds(grew, need) == is_it


@pytest.mark.parametrize("reason", ["not_eligible", "duplicate", "unknown_item"])
def test_what_was_declined_says_what_is_left_to_do(reason: str) -> None:
    found = standing({**WAITS, "state": "declined", "reason": reason}, NOW)
    assert found.line.endswith(f": {reason}")
    assert found.todo == (f"{DECLINED}: {BY_DECLINED.get(reason, AGAIN)}",)
    assert "desk: Register" in found.todo[0]
    assert standing({**WAITS, "state": "cancelled", "reason": "not_needed"}, NOW).todo == ()


def test_there_is_a_word_for_everything_that_a_need_may_wait_for() -> None:
    assert {each.value for each in Wait} - {"short"} == set(BY_WAIT)
    assert set(get_args(BlockedBy.model_fields["resource"].annotation)) == set(MORE_OF)
    assert {each.value for each in Hindrance} == set(HINDRANCES)
    assert set(get_args(PayoutState)) - {"settled", "cancelled"} == set(BY_PAYOUT)
    assert int(Leg.ASKED) == ASKED


@pytest.mark.parametrize("wait", BY_WAIT)
def test_why_it_waits_decides_what_is_to_be_done(wait: str) -> None:
    offered = {"offered_to": "lviv", "offered_until": NOW}
    (todo,) = standing({**WAITS, "wait": wait, **offered}, NOW).todo
    words = {"region": "lviv", "until": " until 2026-03-01 12:00", "link": SEE_LINK}
    assert todo == BY_WAIT[wait].format(**words)
    assert ("lviv" in todo) == (wait == "offered")


@pytest.mark.parametrize("state", ["approved", "waitlisted"])
def test_what_was_taken_on_trial_waits_for_the_region_that_it_comes_from(state: str) -> None:
    need = {**WAITS, "state": state, "supply": 2, "deadline_at": NOW, "from_region": "lviv"}
    found = standing({**need, "pending": True}, NOW)
    assert found.line.endswith("; taken on trial, waits until lviv confirms it")
    assert found.todo[-1] == ON_TRIAL.format(region="lviv", link=SEE_LINK)
    assert found.regions == ("lviv",)
    over = standing({**need, "pending": True, "state": "cancelled"}, NOW)
    assert "on trial" not in over.line + standing(need, NOW).line


@pytest.mark.parametrize(("reason", "todo"), [*HINDRANCES.items(), (None, "decides")])
def test_what_waits_for_a_decision_says_whose(reason: str | None, todo: str) -> None:
    found = standing({**WAITS, "state": "requested", "reason": reason}, NOW)
    assert "waits for a decision" in found.line
    assert todo in found.todo[0]


def test_who_has_not_answered_is_named() -> None:
    asked = {**WAITS, "state": "approved", "supply": 1, "money": 2,
             "deadline_at": NOW + timedelta(minutes=5)}  # fmt: skip
    found = standing(asked, NOW)
    assert "waits for the answer of inventory; holds end 2026-03-01 12:05" in found.line
    assert "is inventory up" in found.todo[0]
    assert todo_of([found, found], []) == found.todo
    assert todo_of([found], ["it has waited 5 min in the outbox"]) == (), "nobody has to guess"
    assert todo_of([standing({**WAITS, "state": "requested"}, NOW)], ["trouble"]) != ()
    held = standing({**asked, "state": "held", "supply": 2}, NOW)
    assert held.line.endswith(": holds end 2026-03-01 12:05")
    assert held.todo == ()
    late = standing(asked, NOW + timedelta(hours=1))
    assert "55 min ago" in late.line
    assert "sweep of intake" in late.todo[0]


@pytest.mark.parametrize(
    ("aside", "line", "todo"),
    [
        (Aside(), "has not queued a message", "is notification up"),
        (
            message("queued", due_at=NOW + timedelta(hours=9)),
            "for its hour, 2026-03-01 21:00",
            None,
        ),
        (message("queued"), "is queued", "aidmesh unlock"),
        (message("sending"), "is sending", "service=notification"),
        (message("sent"), "intake has not heard", "aidmesh status"),
        (message("suppressed", "no_safe_contact"), "suppressed (no_safe_contact)", "in person"),
        (message("unknown", "unknown"), "is unknown", "in person"),
    ],
)
def test_a_person_who_does_not_know_is_told_by_somebody(
    aside: Aside, line: str, todo: str | None
) -> None:
    found = standing(READY, NOW, aside)
    assert line in found.line
    assert "waits to be handed over" not in found.line
    assert len(found.todo) == (todo is not None)
    assert todo is None or todo in found.todo[0]


def test_who_knows_comes_or_is_paid() -> None:
    comes = standing(TOLD, NOW, Aside(reservation={"collect_by": NOW + timedelta(days=7)}))
    assert comes.line.endswith(
        "told 2026-03-01 12:00 (message); waits to be handed over until 2026-03-08 12:00"
    )
    assert comes.todo == ()
    paid = standing(TOLD, NOW, Aside(payout=DRAFT))
    assert paid.line.endswith(f"payout {UUID(int=9)} waits for its approval, 5 h old")
    assert paid.todo == (BY_PAYOUT["draft"][1],)
    settled = standing(TOLD, NOW, Aside(payout={**DRAFT, "state": "settled"}))
    assert "payout" not in settled.line
    refused = standing(TOLD, NOW, Aside(payout={**DRAFT, "state": "rejected", "reason": "AC01"}))
    assert "was refused by the bank (AC01)" in refused.line


@pytest.mark.parametrize(
    ("payout", "line", "todo"),
    [
        (LVIV, "until the office of lviv pays it", "finance may ask it back"),
        ({**LVIV, "state": "exported"}, "by the office of lviv", "that office settles it"),
        (
            {**LVIV, "withdrawal": "returned"},
            "asked back from the office of lviv",
            "that office answers",
        ),
        ({**LVIV, "state": "returned"}, *BY_PAYOUT["returned"]),
        ({"has_details": False}, *NO_DETAILS),
        ({"has_details": False, "state": "approved"}, *BY_PAYOUT["approved"]),
        ({"is_doubted": True}, *MAYBE_PAID),
        ({"is_doubted": True, "state": "approved"}, *MAYBE_PAID),
        ({"is_doubted": True, "state": "exported"}, *MAYBE_PAID),
        ({"is_doubted": True, "state": "accepted"}, *BY_PAYOUT["accepted"]),
    ],
)
def test_no_step_is_advised_that_payments_refuses(payout: Json, line: str, todo: str) -> None:
    found = standing(TOLD, NOW, Aside(payout={**DRAFT, **payout}))
    assert line in found.line
    (said,) = found.todo
    assert todo in said
    assert ("bank file" in said) == (todo == BY_PAYOUT["approved"][1])


DARK = {"lviv": "kyiv: lviv is dark since noon"}


@pytest.mark.parametrize(
    ("need", "payout"),
    [
        ({**WAITS, "wait": "offered", "offered_to": "lviv", "offered_until": NOW}, None),
        ({**WAITS, "pending": True, "from_region": "lviv"}, None),
        (TOLD, LVIV),
        (TOLD, {**LVIV, "state": "exported"}),
        (TOLD, {**LVIV, "withdrawal": "asked"}),
    ],
)
def test_what_waits_for_another_region_says_how_the_link_is(
    need: Json, payout: Json | None
) -> None:
    of_it = None if payout is None else {**DRAFT, **payout}
    found = standing(need, NOW, Aside(payout=of_it, links=DARK))
    assert found.regions == ("lviv",)
    assert found.todo[-1].endswith("; kyiv: lviv is dark since noon")
    unknown = standing(need, NOW, Aside(payout=of_it))
    assert unknown.todo[-1].endswith(f"; {SEE_LINK}")
    (one,) = of_needs([need], NOW, [], [of_it] if of_it else [], [], links=DARK)
    assert one == found


def test_what_waits_for_nobody_elsewhere_names_no_region() -> None:
    settled = {**DRAFT, **LVIV, "state": "settled"}
    for need, payout in ((WAITS, None), (TOLD, DRAFT), (TOLD, settled)):
        assert standing(need, NOW, Aside(payout=payout, links=DARK)).regions == ()


UNTOLD = (
    ({"person_id": None}, "it is for no single person"),
    ({"person_id": None, "message": ASKER_LEFT}, "who asked belongs to the household no more"),
    ({"message": CHANGED}, "holds no more"),
)


@pytest.mark.parametrize(("row", "line"), UNTOLD)
@pytest.mark.parametrize("aside", [Aside(), message("sent")])
def test_whom_no_message_tells_is_told_in_person(
    row: Mapping[str, object], line: str, aside: Aside
) -> None:
    found = standing({**READY, **row}, NOW, aside)
    assert line in found.line
    assert "waits to be handed over" not in found.line
    assert found.todo == (IN_PERSON,)


def test_the_words_are_those_of_intake() -> None:
    assert set(BY_MESSAGE) == {CHANGED, ASKER_LEFT}


def test_a_message_of_an_earlier_attempt_says_nothing_of_this_one() -> None:
    row = {"need_id": NEED, "attempt_no": 1, "state": "sent", "reason": None, "due_at": NOW}
    (found,) = of_needs([READY], NOW, [], [], [row])
    assert "has not queued a message" in found.line


def test_a_conflict_is_for_a_person() -> None:
    over = {**WAITS, "state": "declined", "reason": "not_eligible", "attention": "late"}
    found = standing(over, NOW)
    assert found.line.endswith(": not_eligible; attention: late")
    assert "settles it" in found.todo[-1]


def test_the_newest_of_each_counts() -> None:
    old = {"need_id": NEED, "attempt_no": 1, "state": "suppressed", "reason": "superseded",
           "due_at": NOW}  # fmt: skip
    new = {**old, "attempt_no": 2, "state": "sent", "reason": None}
    (found,) = of_needs([READY], NOW, [], [], [new, old])
    assert "its message is sent" in found.line
