"""One person in two regions: both come to the same, whatever the wire does."""

import random
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.ids import LinkId
from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1, Said
from aidmesh_intake.domain.link import Link, LinkState, LinkStep, end, found, hear, say
from aidmesh_intake.domain.need import NotAllowed

ALL: tuple[Said, ...] = ("open", "yes", "no", "gone")
PERSON = uuid4()


def link(mine: Said = "open", theirs: Said = "open") -> Link:
    return Link(LinkId(uuid4()), "lviv", PERSON, ("name",), mine, theirs)


def test_only_two_yeses_link() -> None:
    for mine, theirs in product(ALL, ALL):
        linked = link(mine, theirs).state is LinkState.LINKED
        assert linked == (mine == theirs == "yes")


def test_a_no_after_a_yes_parts_and_nothing_is_decided_twice() -> None:
    linked = hear(say(link(), "yes").link, "yes")
    assert isinstance(linked.event, PersonLinkedV1)
    assert linked.link.state is LinkState.LINKED
    with pytest.raises(NotAllowed):
        say(linked.link, "yes")
    parted = say(linked.link, "no")
    assert isinstance(parted.event, PersonPartedV1)
    assert parted.link.state is LinkState.PARTED
    for said in ("yes", "no"):
        with pytest.raises(NotAllowed):
            say(parted.link, said)
    assert say(link(), "no").link.state is LinkState.REFUSED


def test_what_is_gone_is_about_nobody() -> None:
    for mine, theirs in product(ALL[:3], ALL[:3]):
        for step in (end(link(mine, theirs)), hear(link(mine, theirs), "gone")):
            assert step.link.state is LinkState.GONE
            assert step.link.person_id is None
            assert step.link.by == ()
            # It says so again to nobody, and is found no more.
            assert found(step.link, PERSON, ("name",)) == LinkStep(step.link)


@st.composite
def _plays(draw: st.DrawFn) -> list[tuple[int, str]]:
    """Acts of two sides, and of a wire that delivers any word at any time, also again."""
    acts = st.sampled_from(["yes", "no", "end", "deliver", "find"])
    return draw(st.lists(st.tuples(st.integers(0, 1), acts), max_size=25))


@given(_plays(), st.randoms(use_true_random=False))
def test_both_sides_come_to_the_same_and_reporting_is_told_so(
    play: list[tuple[int, str]], dice: random.Random
) -> None:
    link_id = LinkId(uuid4())
    # One found it; the other is yet to hear.
    sides = [Link(link_id, "lviv", PERSON, ("name",)), Link(link_id, "kyiv")]
    wire: list[list[str]] = [["find"], []]  # to the second, to the first
    told: list[list[object]] = [[], []]

    def apply(side: int, step: LinkStep, said: str | None = None) -> None:
        sides[side] = step.link
        if step.event is not None:
            told[side].append(step.event)
        if said is not None:
            wire[side].append(said)

    def deliver(to: int, word: str) -> None:
        if word == "find":
            apply(to, found(sides[to], PERSON, ("name",)))
        else:
            apply(to, hear(sides[to], word))  # type: ignore[arg-type]

    for side, act in play:
        here = sides[side]
        if act in ("yes", "no") and here.person_id is not None:
            try:
                apply(side, say(here, act), act)  # type: ignore[arg-type]
            except NotAllowed:
                assert (
                    here.state not in (LinkState.PERHAPS, LinkState.LINKED) or here.mine != "open"
                )
        elif act == "end" and here.person_id is not None:
            apply(side, end(here), "gone")
        elif act == "deliver" and wire[1 - side]:
            deliver(side, dice.choice(wire[1 - side]))
    for side in (0, 1):
        words = list(wire[1 - side])
        dice.shuffle(words)
        for word in words:
            deliver(side, word)
    one, other = sides
    assert (one.mine, one.theirs) == (other.theirs, other.mine)
    assert (one.state is LinkState.LINKED) == (other.state is LinkState.LINKED)
    assert (one.state is LinkState.GONE) == (other.state is LinkState.GONE)
    for side in (0, 1):
        began = [each for each in told[side] if isinstance(each, PersonLinkedV1)]
        ended = [each for each in told[side] if isinstance(each, PersonPartedV1)]
        assert len(began) <= 1
        assert len(ended) <= len(began)
        in_force = len(began) > len(ended)
        assert in_force == (sides[side].state is LinkState.LINKED)
