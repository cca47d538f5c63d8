"""What is given back is offered to whoever waits for it, however it came to be given back.

Somebody has what there is; somebody else, perhaps in danger, waits for it. Then the first lets go.
"""

import pytest

from aidmesh_inventory.domain.requests import Way
from integration.model.plays import Play
from integration.model.truth import PRICES_MINOR
from integration.payments.offices import CHECKER


@pytest.mark.parametrize("kind", ["hiv_test", "travel"])
def test_a_hold_that_ran_out(play: Play, kind: str) -> None:
    play.stock_up(kind)
    first = play.ask(kind)
    play.hear("inventory", "payments")
    second = play.ask(kind, danger=True)
    play.hear("inventory", "payments")
    play.wait(minutes=16)
    play.do(play.town.sweep_inventory())
    play.do(play.town.sweep_payments())
    play.ends(waitlisted=first, ready=second)


@pytest.mark.parametrize("kind", ["hiv_test", "travel"])
def test_a_hold_that_ran_out_before_it_was_confirmed(play: Play, kind: str) -> None:
    play.stock_up(kind)
    first = play.ask(kind)
    play.hear("inventory", "payments")
    second = play.ask(kind, danger=True)
    play.hear("inventory", "payments", "intake")
    play.wait(minutes=16)
    play.hear_all()
    play.ends(waitlisted=first, ready=second)


@pytest.mark.parametrize("kind", ["hiv_test", "travel", "counseling_paid"])
def test_one_that_was_cancelled(play: Play, kind: str) -> None:
    play.stock_up(kind)
    first = play.ask(kind)
    play.hear_all()
    second = play.ask(kind)
    play.hear_all()
    play.cancel(first)
    play.ends(cancelled=first, ready=second)


@pytest.mark.parametrize("kind", ["hiv_test", "travel"])
def test_one_that_nobody_came_for(play: Play, kind: str) -> None:
    play.stock_up(kind)
    first = play.ask(kind)
    play.hear_all()
    play.do(play.town.tell_all())
    second = play.ask(kind)
    play.hear_all()
    play.wait(days=15)
    play.ends(waitlisted=first, ready=second)


@pytest.mark.parametrize("lacking", ["goods", "money"])
def test_the_other_half_of_what_was_refused(play: Play, lacking: str) -> None:
    """A courier's test lacks one of the two; whoever needs only the other gets that."""
    kind = "hiv_test" if lacking == "money" else "travel"
    play.stock_up(kind)
    first = play.ask("test_delivered")
    second = play.ask(kind)
    play.hear("inventory", "payments")
    play.ends(ready=second)
    assert play.do(play.town.intake.state(first)) == "waitlisted"


def test_a_payment_that_came_back(play: Play) -> None:
    first, second, payout_id = play.one_is_to_be_paid()
    assert play.do(play.town.step("settle", payout_id, CHECKER)) is None
    play.truth.paid[payout_id] = (first, PRICES_MINOR["travel"])
    play.truth.served.add(first)
    play.ends(fulfilled=first, waitlisted=second)
    assert play.do(play.town.step("return", payout_id, CHECKER)) is None
    del play.truth.paid[payout_id]
    play.ends(ready=first, waitlisted=second)
    assert play.do(play.town.give_up(payout_id))
    play.truth.let_go.add(first)
    play.ends(requested=first, ready=second)


@pytest.mark.parametrize("kind", ["hiv_test", "counseling_paid"])
def test_a_handover_that_was_undone_and_then_cancelled(play: Play, kind: str) -> None:
    play.stock_up(kind)
    first = play.ask(kind)
    play.hear_all()
    second = play.ask(kind)
    play.hear_all()
    way: Way = "handover" if kind == "hiv_test" else "attendance"
    assert play.do(play.town.issue(first, 1, way)) is None
    play.truth.handed[first, 1] = 1
    play.truth.served.add(first)
    play.ends(fulfilled=first, waitlisted=second)
    assert play.do(play.town.undo(first, 1))
    del play.truth.handed[first, 1]
    play.ends(ready=first, waitlisted=second)
    play.cancel(first)
    play.ends(cancelled=first, ready=second)
