"""Letters that come late, twice, or after what would have made them needless."""

from uuid import UUID

from aidmesh_contracts.intake import NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationRefusedV1, ReservationReleasedV1
from aidmesh_contracts.payments import CommitmentReleasedV1, CommitmentReversedV1
from integration.model import books
from integration.model.plays import Play
from integration.model.post import Letter
from integration.model.truth import PRICES_MINOR, Purse
from integration.payments.offices import CHECKER


def hear_of_the_end_first(play: Play) -> None:
    """Intake hears that something was let go before it hears what came before that."""
    play.do(play.town.post.collect())
    over = [
        each
        for each in play.town.post.waiting
        if isinstance(each.received.event, ReservationReleasedV1 | CommitmentReleasedV1)
    ]
    assert {each.to for each in over} == {"intake"}
    play.do(play.town.post.carry(over))


def ends_of(need_id: UUID, play: Play, to: str) -> list[Letter]:
    """The letter by which one of them hears that an attempt is over."""
    (letter,) = [
        each
        for each in play.town.post.waiting
        if isinstance(each.received.event, NeedWithdrawnV1)
        and (each.received.event.need_id, each.to) == (need_id, to)
    ]
    return [letter]


def hear_all_but(play: Play, late: list[Letter]) -> None:
    """Everybody hears everything, except for some letters."""
    play.do(play.town.post.collect())
    while some := [each for each in play.town.post.waiting if each not in late]:
        play.do(play.town.post.carry(some))


def test_goods_that_were_handed_over_before_the_cancelling_was_heard(play: Play) -> None:
    play.stock_up("hiv_test")
    need_id = play.ask("hiv_test")
    play.hear_all()
    assert play.do(play.town.issue(need_id, 1, "handover")) is None
    play.truth.handed[need_id, 1] = 1
    play.truth.served.add(need_id)
    play.cancel(need_id)
    play.hear("inventory")
    play.ends(fulfilled=need_id)


def test_a_refusal_of_an_attempt_that_is_over(play: Play) -> None:
    need_id = play.ask("hiv_test")
    play.hear("inventory")
    (refusal,) = [
        each
        for each in play.town.post.waiting
        if isinstance(each.received.event, ReservationRefusedV1)
    ]
    play.supply("hiv_test")
    play.wait(minutes=17)
    play.do(play.town.sweep_intake())
    play.hear("inventory")
    news = [each for each in play.town.post.waiting if each is not refusal]
    play.do(play.town.post.carry(news))
    play.do(play.town.post.carry([refusal]))
    play.ends(ready=need_id)


def test_money_that_the_attempt_before_still_holds(play: Play) -> None:
    """Nobody collects a courier's test, then tests come: its end is heard after it asked again."""
    play.stock_up("test_delivered")
    play.stock_up("hiv_test")
    need_id = play.ask("test_delivered")
    play.hear_all()
    play.do(play.town.tell_all())
    play.hear_all()
    play.wait(days=15)
    assert play.do(play.town.sweep_inventory())
    play.hear("intake")
    late = ends_of(need_id, play, "payments")
    play.supply("hiv_test")
    hear_all_but(play, late)
    play.ends(ready=need_id)
    assert [each.attempt_no for each in play.do(books.needs_of(play.town))] == [2]


def test_money_that_an_unanswered_attempt_still_holds(play: Play) -> None:
    play.stock_up("travel")
    need_id = play.ask("travel")
    play.hear("payments")
    play.wait(minutes=17)
    play.do(play.town.sweep_intake())
    play.do(play.town.post.collect())
    late = ends_of(need_id, play, "payments")
    hear_all_but(play, late)
    play.ends(ready=need_id)
    assert [each.attempt_no for each in play.do(books.needs_of(play.town))] == [2]


def test_an_end_that_is_told_twice_frees_once(play: Play) -> None:
    play.stock_up("test_delivered")
    play.stock_up("hiv_test")
    first = play.ask("test_delivered")
    play.hear_all()
    second = play.ask("hiv_test")
    play.hear_all()
    play.cancel(first)
    play.ends(cancelled=first, ready=second)
    over = [
        each
        for each in play.town.post.carried
        if isinstance(each.received.event, NeedWithdrawnV1) and each.received.event.need_id == first
    ]
    assert {each.to for each in over} == {"inventory", "payments"}
    play.do(play.town.post.carry(over, again=True))
    play.ends(cancelled=first, ready=second)


def test_what_woke_a_need_that_lacks_something_else(play: Play) -> None:
    """The courier's test is asked for first, but there is no money for the courier."""
    first = play.ask("test_delivered", danger=True)
    play.hear("inventory", "intake", "payments")
    second = play.ask("hiv_test")
    play.hear_all()
    play.supply("hiv_test")
    # What inventory held for the first would be given back; it hears of its end before that.
    play.hear("intake", "payments", "intake", "inventory")
    play.ends(waitlisted=first, ready=second)


def test_a_hold_that_the_late_confirmation_of_an_older_attempt_does_not_touch(play: Play) -> None:
    amount = PRICES_MINOR["travel"]
    play.truth.purses[play.do(play.town.allot(play.grant_id, amount))] = Purse(amount, None)
    need_id = play.ask("travel")
    play.hear("payments", "intake")
    late = list(play.town.post.waiting)
    play.wait(minutes=17)
    play.do(play.town.sweep_intake())
    play.do(play.town.post.collect())
    play.do(play.town.post.carry([each for each in play.town.post.waiting if each not in late]))
    play.do(play.town.post.carry(late))
    play.ends(ready=need_id)


def test_a_payment_that_came_back_and_was_given_up_heard_the_other_way_round(play: Play) -> None:
    first, second, payout_id = play.one_is_to_be_paid()
    assert play.do(play.town.step("settle", payout_id, CHECKER)) is None
    play.truth.served.add(first)
    play.hear_all()
    assert play.do(play.town.step("return", payout_id, CHECKER)) is None
    assert play.do(play.town.give_up(payout_id))
    play.truth.let_go.add(first)
    hear_of_the_end_first(play)
    play.ends(requested=first, ready=second)


def test_goods_that_came_back_and_were_not_collected_heard_the_other_way_round(play: Play) -> None:
    play.stock_up("test_delivered")
    play.stock_up("hiv_test")
    need_id = play.ask("test_delivered")
    play.hear_all()
    play.do(play.town.tell_all())
    play.hear_all()
    assert play.do(play.town.issue(need_id, 1, "handover")) is None
    play.truth.served.add(need_id)
    play.hear_all()
    assert play.do(play.town.undo(need_id, 1))
    play.wait(days=15)
    assert play.do(play.town.sweep_inventory())
    hear_of_the_end_first(play)
    play.ends(waitlisted=need_id)


def test_a_service_that_was_undone_after_its_need_had_ended(play: Play) -> None:
    """Payments hears that the attempt is over before it hears that nobody is to be paid for it."""
    play.stock_up("counseling_paid")
    first = play.ask("counseling_paid")
    play.hear_all()
    second = play.ask("travel")
    assert play.do(play.town.issue(first, 1, "attendance")) is None
    play.truth.served.add(first)
    play.hear_all()
    assert play.do(play.town.undo(first, 1))
    play.hear("intake")
    play.cancel(first)
    play.do(play.town.post.collect())
    over = [
        each
        for each in play.town.post.waiting
        if isinstance(each.received.event, NeedWithdrawnV1) and each.to == "payments"
    ]
    assert len(over) == 1
    play.do(play.town.post.carry(over))
    play.ends(cancelled=first, waitlisted=second)


def test_cash_without_money_came_back_before_it_was_heard_that_it_had_been_let_go(
    play: Play,
) -> None:
    first, second, payout_id = play.one_is_to_be_paid()
    for verb in ("approve", "export", "not_collected"):
        assert play.do(play.town.step(verb, payout_id, CHECKER)) is None
    play.do(play.town.post.collect())
    late = [
        each
        for each in play.town.post.waiting
        if isinstance(each.received.event, CommitmentReleasedV1)
    ]
    hear_all_but(play, late)
    assert play.do(play.town.intake.state(second)) == "ready", "it has the money now"
    assert play.do(play.town.step("settle", payout_id, CHECKER)) is None
    play.truth.served.add(first)
    hear_all_but(play, late)
    assert play.do(play.town.intake.state(first)) == "fulfilled"
    assert play.do(play.town.step("return", payout_id, CHECKER)) is None
    play.ends(requested=first, ready=second)


def test_a_payment_that_came_back_before_it_was_heard_of_and_after_its_need_had_ended(
    play: Play,
) -> None:
    first, second, payout_id = play.one_is_to_be_paid()
    assert play.do(play.town.step("settle", payout_id, CHECKER)) is None
    play.truth.served.add(first)
    play.cancel(first)
    play.hear("payments")
    assert play.do(play.town.step("return", payout_id, CHECKER)) is None
    play.do(play.town.post.collect())
    back = [
        each
        for each in play.town.post.waiting
        if isinstance(each.received.event, CommitmentReversedV1)
    ]
    play.do(play.town.post.carry(back))
    play.ends(cancelled=first, ready=second)
