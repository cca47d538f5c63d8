"""What can be had where."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_console.clients.intake import Kind
from aidmesh_console.clients.inventory_views import AllStock, Capacity, Stock, StockAway
from aidmesh_console.supply import low, supply_of

NOW = datetime(2024, 4, 1, 12, tzinfo=UTC)
SITES = [uuid4() for _ in range(3)]
SET = Kind.model_validate(
    {
        "code": "set",
        "names": {},
        "programme": "prevention",
        "stock": [{"item": "condom", "quantity": 10}, {"item": "lubricant", "quantity": 2}],
    }
)
BED = Kind.model_validate(
    {"code": "bed", "names": {}, "programme": "shelter",
     "capacity": {"resource": "bed", "code": "shelter"}}
)  # fmt: skip


def _stock(site: UUID, item: str, free: int) -> Stock:
    return Stock(site_id=site, item=item, on_hand=free + 3, held=3, free=free)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SITES), st.sampled_from(["condom", "lubricant"]), st.integers(0, 60)
        ),
        max_size=12,
    )
)
def test_a_set_comes_from_one_site(rows: list[tuple[UUID, str, int]]) -> None:
    found = supply_of(SET, AllStock(own=tuple(_stock(*row) for row in rows)), ())
    naive = 0
    for site in SITES:
        condoms = sum(free for at, item, free in rows if (at, item) == (site, "condom"))
        lubricant = sum(free for at, item, free in rows if (at, item) == (site, "lubricant"))
        naive += min(condoms // 10, lubricant // 2)
    assert found.free == naive == sum(count for _, count in found.by_site)
    assert all(count > 0 for _, count in found.by_site)


def test_other_regions_are_told_with_their_oldest_age() -> None:
    older = NOW.replace(hour=1)
    others = tuple(
        StockAway(region="lviv", site_id=SITES[0], area="UA46", item=item, free=free,
                  as_of=as_of)
        for item, free, as_of in (("condom", 50, NOW), ("lubricant", 6, older))
    )  # fmt: skip
    (away,) = supply_of(SET, AllStock(others=others), ()).elsewhere
    assert (away.region, away.free, away.as_of) == ("lviv", 3, older)


def test_a_bed_counts_tonight() -> None:
    def capacity(region: str | None, free: tuple[int, ...]) -> Capacity:
        return Capacity(region=region, site_id=SITES[0], area="UA80", resource="bed",
                        code="shelter", first_on=NOW.date(), free_by_day=free, total=9,
                        as_of=NOW)  # fmt: skip

    rows = [capacity(None, (2, 9)), capacity("odesa", (0, 9)), capacity("lviv", (4,))]
    found = supply_of(BED, AllStock(), rows)
    assert found.free == 2
    assert [each.region for each in found.elsewhere] == ["lviv"]


def test_what_somebody_waits_for_runs_out_first() -> None:
    stock = AllStock(own=(_stock(SITES[0], "soap", 4), _stock(SITES[0], "rice", 100)))
    assert low(stock, {"rice": 120, "tent": 1}) == (
        ("rice", 100, 120),
        ("tent", 0, 1),
        ("soap", 4, 0),
    )
