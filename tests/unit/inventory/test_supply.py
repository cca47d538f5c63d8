"""What could be had now, and where."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_inventory.domain.supply import At, Free, places_now, sets_at, supply_of

NOW = datetime(2024, 4, 1, 12, tzinfo=UTC)
SITES = [UUID(int=number) for number in range(1, 5)]
SET = {"condom": 10, "lubricant": 2}
ROWS = st.dictionaries(
    st.tuples(
        st.sampled_from(["kyiv", "lviv"]),
        st.sampled_from(SITES),
        st.sampled_from(["condom", "lubricant", "soap"]),
    ),
    st.integers(0, 60),
)


@given(ROWS)
def test_a_set_comes_from_one_site(rows: dict[tuple[str, UUID, str], int]) -> None:
    stock = [
        Free(region, site, item, pieces, NOW - timedelta(minutes=pieces))
        for (region, site, item), pieces in rows.items()
    ]
    found = supply_of("kyiv", sets_at(SET, stock))

    def naive(region: str, site: UUID) -> int:
        return min(
            rows.get((region, site, "condom"), 0) // 10,
            rows.get((region, site, "lubricant"), 0) // 2,
        )

    here = {site: naive("kyiv", site) for site in SITES if naive("kyiv", site)}
    assert {at.site_id: at.units for at in found.sites} == here
    assert found.units == sum(here.values())
    assert [at.units for at in found.sites] == sorted(here.values(), reverse=True)
    away = [site for site in SITES if naive("lviv", site)]
    if not away:
        assert found.elsewhere == []
        return
    (told,) = found.elsewhere
    assert told.units == sum(naive("lviv", site) for site in away)
    oldest = max(rows["lviv", site, item] for site in away for item in SET)
    assert told.as_of == NOW - timedelta(minutes=oldest)


def test_a_bed_counts_tonight_and_an_hour_on_any_day() -> None:
    assert places_now("bed", [2, 9]) == 2
    assert places_now("slot", [2, 9]) == 11
    assert places_now("bed", []) == places_now("slot", []) == 0


def test_regions_with_most_come_first() -> None:
    at = [
        At("lviv", SITES[0], 2, NOW),
        At("odesa", SITES[1], 3, NOW),
        At("odesa", SITES[2], 0, NOW),
    ]
    assert [each.region for each in supply_of("kyiv", at).elsewhere] == ["odesa", "lviv"]
