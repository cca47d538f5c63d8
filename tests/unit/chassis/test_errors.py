"""How long whoever got in another's way waits."""

from aidmesh_chassis.errors import contention_delay_s


def test_who_meets_contention_waits_longer_each_time_and_never_as_long_as_another() -> None:
    waits = [[contention_delay_s(attempt) for _ in range(20)] for attempt in range(4)]
    for attempt, found in enumerate(waits):
        assert all(0.01 * 2**attempt <= each <= 0.03 * 2**attempt for each in found)
        assert len(set(found)) > 1
