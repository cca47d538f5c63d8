"""Needs that may be served in parts get what lies free, wherever it lies, and wait for the rest."""

from collections import Counter

from aidmesh_intake.domain.need import State
from integration.model import books
from integration.model.plays import Play

KIND, ITEM = "self_test", "hiv_self_test"


def lay(play: Play, pieces: int, site: int = 1) -> None:
    """Goods that came long before anybody asked."""
    site_id = play.site_id
    if site > 1:
        site_id = play.do(play.town.inventory.site(f"kyiv-{site}"))
    lot_id = play.do(play.town.inventory.stock(site_id, pieces, ITEM))
    play.truth.lots[lot_id], play.truth.items[lot_id] = pieces, ITEM
    play.hear_all()
    play.wait(minutes=1)


def found(play: Play) -> Counter[tuple[State, int]]:
    """How many needs are where, and for how much, once everything is calm and right."""
    play.do(books.calm(play.town, play.chance))
    play.do(books.check(play.town, play.truth))
    needs = play.do(books.needs_of(play.town))
    assert max(each.attempt_no for each in needs) < 6
    return Counter((each.state, each.quantity) for each in needs)


def test_what_lay_there_is_not_waited_for(play: Play) -> None:
    lay(play, 1)
    play.ask(KIND, quantity=3)
    assert found(play) == {(State.READY, 1): 1, (State.WAITLISTED, 2): 1}
    lay(play, 1)
    assert found(play) == {(State.READY, 1): 2, (State.WAITLISTED, 1): 1}


def test_the_rest_of_what_stood_in_line_is_no_duplicate_of_what_was_served(play: Play) -> None:
    """A caseworker asks for it again, though it was never asked for itself."""
    play.ask(KIND)
    play.hear_all()
    play.ask(KIND, quantity=3)
    play.hear_all()
    lay(play, 2)
    there = {(State.READY, 1): 2, (State.WAITLISTED, 2): 1}
    assert found(play) == there
    (rest,) = [each for each in play.do(books.needs_of(play.town)) if each.blocked_by]
    play.do(play.town.act(rest.id, "approve"))
    assert found(play) == there


def test_each_site_gives_what_it_has(play: Play) -> None:
    lay(play, 1)
    lay(play, 1, site=2)
    play.ask(KIND, quantity=3)
    assert found(play) == {(State.READY, 1): 2, (State.WAITLISTED, 1): 1}


def test_parts_from_two_sites_are_the_whole(play: Play) -> None:
    lay(play, 2)
    lay(play, 2, site=2)
    play.ask(KIND, quantity=3)
    assert found(play) == {(State.READY, 2): 1, (State.READY, 1): 1}


def test_what_somebody_else_took_meanwhile_is_waited_for(play: Play) -> None:
    lay(play, 1)
    slow = play.ask(KIND, quantity=3)
    play.hear("inventory")
    fast = play.ask(KIND)
    play.hear("inventory")
    play.ends(waitlisted=slow, ready=fast)
    assert found(play) == {(State.READY, 1): 1, (State.WAITLISTED, 1): 1, (State.WAITLISTED, 2): 1}
    play.cancel(fast)
    assert found(play)[State.READY, 1] == 1


def test_what_somebody_else_took_a_part_of(play: Play) -> None:
    lay(play, 2)
    play.ask(KIND, quantity=3)
    play.hear("inventory")
    play.ask(KIND)
    play.hear("inventory")
    assert found(play) == {(State.READY, 1): 2, (State.WAITLISTED, 1): 2}


def test_what_grew_at_several_sites_is_served_from_each(play: Play) -> None:
    play.ask(KIND, quantity=3)
    play.hear_all()
    lay(play, 1)
    lay(play, 1, site=2)
    assert found(play) == {(State.READY, 1): 2, (State.WAITLISTED, 1): 1}


def test_two_who_are_refused_together_take_no_more_than_there_is(play: Play) -> None:
    lay(play, 1)
    play.ask(KIND, quantity=2)
    play.ask(KIND, quantity=3, danger=True)
    assert found(play) == {(State.READY, 1): 1, (State.WAITLISTED, 2): 2}
    needs = play.do(books.needs_of(play.town))
    (served,) = (each for each in needs if each.state is State.READY)
    assert served.priority == max(each.priority for each in needs), "danger comes first"
