"""The plan of faults follows from the seed alone, and is one that can be carried out."""

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from aidmesh.chaos.plan import CRASH_REST_S, EVERYWHERE, LINKS, REST_S, Fault, Kind, plan_of

REGIONS = ("kyiv", "lviv", "odesa")
SERVICES = ("intake", "inventory", "payments")

seeds = st.integers(0, 2**63)
lengths = st.floats(5, 900)


@given(seeds, lengths)
def test_the_same_seed_gives_the_same_plan(seed: int, seconds: float) -> None:
    first = plan_of(seed, REGIONS, SERVICES, seconds)

    assert plan_of(seed, REGIONS, SERVICES, seconds) == first


def test_another_seed_gives_another_plan() -> None:
    plans = {plan_of(seed, REGIONS, SERVICES, 120.0) for seed in range(50)}

    assert len(plans) == 50


def test_what_a_seed_gives_stays_what_it_was() -> None:
    """A run that found something can be repeated by a later version."""
    assert plan_of(7, REGIONS, SERVICES, 12.0)[:3] == FROM_SEED_7


@given(seeds, lengths)
def test_all_is_healed_when_the_load_ends(seed: int, seconds: float) -> None:
    for fault in plan_of(seed, REGIONS, SERVICES, seconds):
        assert fault.at_s > 0
        assert fault.at_s + fault.for_s <= seconds + 0.01
        assert (fault.region == EVERYWHERE) == (fault.kind is Kind.CRASH)
        assert fault.region in (*REGIONS, EVERYWHERE)
        assert len(set(fault.regions)) == (2 if fault.kind in LINKS else 1)


@given(seeds, lengths)
def test_nothing_is_hit_twice_at_a_time(seed: int, seconds: float) -> None:
    for one, other in combinations(plan_of(seed, REGIONS, SERVICES, seconds), 2):
        if one.target == other.target:
            assert other.at_s >= one.at_s + one.for_s + REST_S


@given(seeds, lengths)
def test_after_a_crash_there_is_time_to_come_back(seed: int, seconds: float) -> None:
    plan = plan_of(seed, REGIONS, SERVICES, seconds)

    for before, after in pairwise(plan):
        if before.kind is Kind.CRASH:
            assert after.at_s >= before.at_s + CRASH_REST_S


@given(seeds)
def test_ten_minutes_have_crashes_and_mostly_other_things(seed: int) -> None:
    kinds = [fault.kind for fault in plan_of(seed, REGIONS, SERVICES, 600.0)]

    assert 2 <= kinds.count(Kind.CRASH) <= 6
    assert len(kinds) > 150


@given(seeds)
def test_two_minutes_see_every_kind(seed: int) -> None:
    plan = plan_of(seed, REGIONS, SERVICES, 120.0)

    assert {fault.kind for fault in plan} == set(Kind)
    assert {"nats", "postgres"} < {fault.part for fault in plan}


FROM_SEED_7 = (
    Fault(1, 1.0, Kind.CUT, "lviv", "odesa", 2.03),
    Fault(2, 2.3, Kind.KILL, "lviv", "nats", 0.0),
    Fault(3, 3.53, Kind.FREEZE, "odesa", "nats", 1.17),
)
