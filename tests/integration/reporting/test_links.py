"""People who are known in two or three regions: each whole counts them once, and says so."""

import random
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.ids import LinkId, NeedId, PersonId
from aidmesh_contracts.intake import NeedReversedV1
from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1
from aidmesh_contracts.reporting import LinkServedV1
from aidmesh_reporting.rebuild import rebuild
from aidmesh_reporting.store import links
from integration.reporting.offices import APRIL, MARCH, Offices, link, settle


class Asked:
    """Remembers of which regions was asked, and asks."""

    def __init__(self, ask: Callable[..., Awaitable[Any]]) -> None:
        self.of: list[tuple[str, ...]] = []
        self._ask = ask

    async def __call__(self, conn: object, months: object, *regions: str) -> Any:
        self.of.append(regions)
        return await self._ask(conn, months, *regions)


async def test_who_is_linked_counts_once_and_twice_again_once_parted(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    need_id = await lviv.serve(ours)
    await lviv.serve(uuid4())
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [3, 3]
    link_id = await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv)
    for office in (kyiv, lviv):
        whole = await office.whole()
        assert (whole["total"]["people"], whole["twice"]) == (2, 1)
        assert whole["total"]["services"] == 3
        (month,) = (await office.whole(by="month"))["lines"]
        assert month["people"] == 2
        # By kind nobody knows whom to leave out: so many at most.
        (kind,) = (await office.whole(by="kind"))["lines"]
        assert (kind["people"], kind["people_exact"]) == (3, False)
        # Who may not see everything is told nothing of people in two regions.
        plain = await office.whole(Role.FINANCE)
        assert plain["twice"] is None
    # A service that was entered wrong counts for nobody.
    await lviv.take(NeedReversedV1(need_id=NeedId(need_id), service_no=1, reason="mistake"))
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [2, 2]
    await lviv.serve(ours)
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [2, 2]
    for office in (kyiv, lviv):
        await office.take(PersonPartedV1(link_id=link_id))
    await settle(kyiv, lviv)
    assert [await kyiv.people(), await lviv.people()] == [3, 3]
    for office in (kyiv, lviv):
        kept = "SELECT (SELECT count(*) FROM link_heard) + (SELECT count(*) FROM link_told)"
        assert await office.value(kept) == 0


async def test_months_are_restated_for_a_third_region_but_not_of_few_people(
    offices: Offices,
) -> None:
    kyiv, lviv, odesa = await offices("kyiv", "lviv", "odesa")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    await settle(kyiv, lviv, odesa)
    await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv, odesa)
    version = "SELECT version FROM world_month WHERE region = 'lviv' AND month = '2024-03'"
    # Of one person nothing is said, not even that there was nothing: it is not told again.
    assert await odesa.value(version) == 1
    assert await odesa.people() == 2
    assert await kyiv.people() == 1
    for _ in range(4):
        await lviv.serve(uuid4())
    await settle(kyiv, lviv, odesa)
    assert [await each.people() for each in (kyiv, lviv, odesa)] == [5, 5, 5]
    assert (await odesa.whole())["twice"] == 1
    assert await odesa.value(version) > 1


async def test_somebody_served_in_different_months_counts_in_each_and_once_in_all(
    offices: Offices,
) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers, MARCH)
    await lviv.serve(ours, APRIL)
    await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv)
    for office in (kyiv, lviv):
        months = (await office.whole(to="2024-04-30", by="month"))["lines"]
        assert [each["people"] for each in months] == [1, 1]
        # Of several months it is no more than an upper bound that both can tell.
        total = (await office.whole(to="2024-04-30"))["total"]
        assert total["people_exact"] is False
        assert total["people"] == (1 if office is lviv else 2)


async def test_while_the_other_region_has_told_no_results_nobody_is_left_out(
    offices: Offices,
) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    link_id = await link(kyiv, hers, lviv, ours)
    await lviv.hear("kyiv", LinkServedV1(link_id=link_id, months=("2024-03",), version=1))
    assert await lviv.people() == 1


async def test_what_is_said_of_a_link_may_come_first_late_or_again(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    await settle(kyiv, lviv)
    link_id = LinkId(uuid4())
    newer = LinkServedV1(link_id=link_id, months=("2024-03",), version=2)
    older = LinkServedV1(link_id=link_id, months=(), version=1)
    await lviv.hear("kyiv", newer)
    await lviv.hear("kyiv", older, newer)
    linked = PersonLinkedV1(link_id=link_id, person_id=PersonId(ours), region="kyiv")
    await lviv.take(linked)
    assert await lviv.people() == 1
    with pytest.raises(Poison):
        await lviv.hear("odesa", LinkServedV1(link_id=link_id, months=(), version=3))
    await lviv.take(PersonPartedV1(link_id=link_id))
    await lviv.take(linked)
    await lviv.hear("kyiv", LinkServedV1(link_id=link_id, months=("2024-03",), version=4))
    assert await lviv.people() == 2
    assert await lviv.value("SELECT count(*) FROM link_heard") == 0


async def test_a_whole_asks_of_each_region_once_for_all_months_and_once_for_its_year(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    kyiv, lviv, odesa = made = await offices("kyiv", "lviv", "odesa")
    one = {office.region: uuid4() for office in made}
    for office in made:
        for month in range(1, 13):
            await office.serve(one[office.region], date(2024, month, 4))
    for other in (lviv, odesa):
        await link(kyiv, one["kyiv"], other, one[other.region])
    published, asked = Asked(links.elsewhere), Asked(links.shared)
    monkeypatch.setattr(links, "elsewhere", published)
    await kyiv.spread()
    assert published.of == [("kyiv",)] * 12
    await settle(*made)
    monkeypatch.setattr(links, "shared", asked)
    whole = await kyiv.whole(to="2024-12-31")
    assert (whole["total"]["people"], whole["twice"]) == (1, 2)
    lines = (await kyiv.whole(to="2024-12-31", by="month"))["lines"]
    assert [each["people"] for each in lines] == [1] * 10
    assert sorted(asked.of) == [("kyiv", "lviv")] * 4 + [("kyiv", "odesa")] * 4  # of two answers


async def test_a_rebuild_keeps_who_counts_once(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers, ours = uuid4(), uuid4()
    await kyiv.serve(hers)
    await lviv.serve(ours)
    await link(kyiv, hers, lviv, ours)
    await settle(kyiv, lviv)
    await rebuild(lviv.db)
    assert await lviv.people() == 1


@pytest.mark.parametrize("seed", range(2))
async def test_nobody_is_left_out_and_with_every_link_everybody_counts_once(
    offices: Offices, seed: int
) -> None:
    dice = random.Random(seed)
    names = ["dnipro", "kyiv", "lviv"]
    made = await offices(*dice.sample(names, 3))
    records = [
        {office.region: uuid4() for office in dice.sample(made, dice.randint(1, 3))}
        for _ in range(14)
    ]
    for each in records:
        for office in made:
            if office.region in each:
                await office.serve(each[office.region])
    pairs = [
        (one, each[one.region], other, each[other.region])
        for each in records
        for one in made
        for other in made
        if one.region < other.region and {one.region, other.region} <= set(each)
    ]
    dice.shuffle(pairs)
    before = None
    for part in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]):
        for pair in part:
            await link(*pair)
        await settle(*made)
        counted = {await office.people() for office in made}
        assert len(counted) == 1
        assert min(counted) >= len(records)
        assert before is None or min(counted) <= before
        before = min(counted)
    assert before == len(records)
