"""Which waiting needs other regions could serve: each once, and no place twice."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.values import BlockedBy, CapacityDemand
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.elsewhere import (
    AGE_MAX,
    Match,
    Place,
    Rule,
    Seeker,
    by_rule,
    match,
    seeker_of,
)
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import Need, State, Wait
from unit.intake.builders import need

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)


def place(
    region: str, *free: int, resource: str = "bed", site: int = 1, age: timedelta = timedelta()
) -> Place:
    return Place(region, UUID(int=site), "UA46", resource, "shelter", TODAY, list(free), NOW - age)


def seeker(
    no: int,
    nights: int = 1,
    *,
    start: int = 0,
    places: int = 1,
    resource: str = "bed",
    offered_to: str | None = None,
    kind: str = "shelter_night",
) -> Seeker:
    days = [TODAY + timedelta(days=start + day) for day in range(nights)]
    return Seeker(UUID(int=no), kind, False, resource, "shelter", places, days, TODAY, offered_to)


def matched(seekers: list[Seeker], *places: Place) -> list[tuple[int, str]]:
    return [(each.seeker.need_id.int, each.place.region) for each in match(seekers, places, NOW)]


def waiting(*features: str, **changes: Any) -> Need:
    """A need that waits for a bed for three nights, there being too few."""
    bed = CapacityDemand(
        resource="bed",
        code="shelter",
        from_on=TODAY,
        to_on=TODAY + timedelta(days=3),
        features=features,
    )
    short = BlockedBy(resource="bed", code="shelter", area="UA80", quantity=1)
    waits = replace(
        need(Ask(capacity=bed)), state=State.WAITLISTED, wait=Wait.SHORT, blocked_by=short
    )
    return replace(waits, **changes)


def test_a_bed_is_sought_for_the_nights_that_are_left() -> None:
    for gone, nights in ((0, 3), (2, 1)):
        today = TODAY + timedelta(days=gone)
        found = seeker_of(waiting(), today)
        assert found is not None
        assert list(found.days) == [today + timedelta(days=day) for day in range(nights)]


@pytest.mark.parametrize(
    "needs",
    [
        waiting("ground_floor"),
        waiting(needed_until=NOW),
        waiting(for_whom=ForWhom.GROUP),
        waiting(pending=True),
        waiting(state=State.REQUESTED),
        waiting(ask=Ask()),
    ],
    ids=["features", "hours", "a_group", "on_trial", "not_waiting", "no_place"],
)
def test_what_no_form_can_ask_another_region_for_is_not_sought_there(needs: Need) -> None:
    assert seeker_of(needs, TODAY) is None
    assert seeker_of(needs, TODAY, "lviv") is None


def test_only_who_waits_for_the_place_itself_seeks_one_elsewhere() -> None:
    for wait in Wait:
        found = seeker_of(waiting(wait=wait), TODAY)
        assert (found is not None) is (wait in (Wait.SHORT, Wait.BEHIND))
    fee = BlockedBy(resource="money", code="shelter/UAH", quantity=100)
    assert seeker_of(waiting(blocked_by=fee), TODAY) is None
    offered = seeker_of(waiting(wait=Wait.OFFERED), TODAY, "lviv")
    assert offered is not None, "it takes up its room there"
    assert offered.offered_to == "lviv"


def test_a_bed_is_free_on_every_night_or_not_at_all() -> None:
    assert matched([seeker(1, 2)], place("lviv", 1, 1)) == [(1, "lviv")]
    assert matched([seeker(1, 2)], place("lviv", 1, 0, 5)) == []
    assert matched([seeker(1, 2, start=1)], place("lviv", 0, 1, 1)) == [(1, "lviv")]
    assert matched([seeker(1, places=2)], place("lviv", 1)) == []
    # What lies beyond the days that are told of the target will say.
    assert matched([seeker(1, 5)], place("lviv", 1, 1)) == [(1, "lviv")]
    assert matched([seeker(1, start=3)], place("lviv", 1, 1)) == []
    # A first night that was yesterday there is none that can be told of.
    assert matched([seeker(1, 2, start=-1)], place("lviv", 1, 1)) == []


def test_an_appointment_needs_one_day() -> None:
    asks = [seeker(no, 3, resource="slot") for no in (1, 2, 3)]
    room = place("lviv", 0, 1, 1, resource="slot")
    assert matched(asks, room) == [(1, "lviv"), (2, "lviv")]
    assert matched([seeker(1, resource="slot")], place("lviv", 0, 1, resource="slot")) == []


def test_what_is_offered_already_takes_up_its_room_and_is_not_offered_again() -> None:
    asks = [seeker(1), seeker(2), seeker(3, offered_to="lviv")]
    assert matched(asks, place("lviv", 2)) == [(1, "lviv")]
    assert matched(asks, place("odesa", 2)) == [(1, "odesa"), (2, "odesa")]


def test_old_news_is_no_news() -> None:
    assert matched([seeker(1)], place("lviv", 1, age=AGE_MAX)) == []
    assert matched([seeker(1)], place("lviv", 1, age=AGE_MAX - timedelta(minutes=1))) != []


@given(
    st.lists(
        st.tuples(
            st.integers(1, 4), st.integers(0, 3), st.integers(1, 2),
            st.sampled_from([None, None, "lviv", "odesa"]),
        ),
        max_size=12,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["lviv", "odesa"]),
            st.lists(st.integers(0, 3), min_size=4, max_size=7),
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_no_bed_is_promised_twice_and_nobody_two(
    wanted: list[tuple[int, int, int, str | None]], rooms: list[tuple[str, list[int]]]
) -> None:
    seekers = [
        seeker(no, nights, start=start, places=places, offered_to=to)
        for no, (nights, start, places, to) in enumerate(wanted)
    ]
    sites = [place(region, *free, site=no) for no, (region, free) in enumerate(rooms)]
    before = {each.site_id: list(each.free_by_day) for each in sites}
    found = match(seekers, sites, NOW)
    assert len({each.seeker.need_id for each in found}) == len(found)
    assert all(each.seeker.offered_to is None for each in found)
    used: Counter[tuple[UUID, date]] = Counter()
    for each in found:
        for day in each.seeker.days:
            used[each.place.site_id, day] += each.seeker.places
    for (site_id, day), pieces in used.items():
        at = (day - TODAY).days
        assert at >= len(before[site_id]) or pieces <= before[site_id][at]
    assert all(free >= 0 for each in sites for free in each.free_by_day)


def test_a_rule_offers_its_kind_to_its_regions_up_to_its_bound() -> None:
    found = match([seeker(1, kind="other"), seeker(2)], [place("lviv", 2)], NOW)
    rule = Rule(UUID(int=9), "shelter_night", None, 2, 24, UUID(int=8))

    def chosen(rule: Rule, standing: int = 0) -> Match | None:
        made = by_rule(found, [rule], {rule.rule_id: standing})
        return made[0][1] if made else None

    assert chosen(rule) == found[1]
    assert chosen(rule, 1) == found[1]
    assert chosen(rule, 2) is None
    assert chosen(rule._replace(regions=frozenset({"odesa"}))) is None
    assert chosen(rule._replace(regions=frozenset({"lviv"}))) == found[1]
    assert chosen(rule._replace(kind="counseling")) is None


def test_a_rule_for_chosen_needs_offers_no_others() -> None:
    plain, picked = seeker(1), seeker(2)._replace(chosen=True)
    found = match([plain, picked], [place("lviv", 2)], NOW)
    rule = Rule(UUID(int=9), "shelter_night", None, 2, 24, UUID(int=8), chosen_only=True)

    assert [each.seeker for _, each in by_rule(found, [rule], {})] == [picked]
    everybody = rule._replace(chosen_only=False)
    assert [each.seeker for _, each in by_rule(found, [everybody], {})] == [plain, picked]
