"""Who is known in one household is not asked for in another: nothing is recorded, for neither."""

from typing import Any, Final

import pytest

from aidmesh_intake.handlers import importing
from integration.intake.files import send
from integration.intake.test_leaving import join, leave
from integration.intake.test_one_person import ask, family, person
from integration.intake.world import KYIV, World

WHOLE: Final[dict[str, Any]] = {"for_whom": "household"}
HEAD = "row_id,client_code,kind,area,asked_on,household_code,for_household"


async def refused(world: World, **who: object) -> str:
    """A request that is refused; which problem it is."""
    body = {"needs": [{"kind": "hygiene_kit", "place_area": KYIV}]} | who
    answer: dict[str, Any] = await world.post("/v1/requests", body, status=409)
    return str(answer["type"]).rpartition(":")[2]


async def counted(world: World) -> list[int]:
    """How many rows there are of each that a request may make."""
    async with world.db.read() as conn:
        rows = await conn.fetch(
            "SELECT count(*) FROM person UNION ALL SELECT count(*) FROM household"
            " UNION ALL SELECT count(*) FROM request UNION ALL SELECT count(*) FROM need"
            " UNION ALL SELECT count(*) FROM outbox"
        )
    return [row["count"] for row in rows]


async def home_of(world: World, person_id: str) -> str | None:
    """The household that a person belongs to."""
    found: str | None = (await world.get(f"/v1/persons/{person_id}"))["household_id"]
    return found


def living(code: str, home: str | None) -> dict[str, str]:
    """Somebody by their code, said to live in a household."""
    return {"client_code": code} | ({} if home is None else {"household_code": home})


@pytest.mark.parametrize("for_whom", ["person", "household"])
@pytest.mark.parametrize("named", ["other", "never named before"])
async def test_another_household_is_refused_until_the_person_moved(
    world: World, for_whom: str, named: str
) -> None:
    members, home = await family(world)
    await person(world, "stranger", household_code="other")
    before = await counted(world)
    who: dict[str, Any] = {"for_whom": for_whom, "person": living("one", named)}
    assert await refused(world, **who) == "other-household"
    assert await counted(world) == before
    assert await home_of(world, members[0]) == home
    # However it is spelt, their own is none other; and it need not be named.
    for own in ("HOME", None):
        if own is not None or for_whom == "person":
            fine = await ask(world, "hygiene_kit", for_whom=for_whom, person=living("one", own))
            assert (await world.need(fine["need_id"]))["household_id"] == home
    await leave(world, home, members[0])
    need = await world.need((await ask(world, "food_parcel", **who))["need_id"])
    assert need["household_id"] == await home_of(world, members[0]) != home


async def test_who_is_of_no_household_moves_into_the_one_that_is_named(world: World) -> None:
    _, home = await family(world)
    someone = await person(world, "someone")
    await ask(world, "hygiene_kit", **WHOLE, person=living("someone", "home"))
    assert await home_of(world, someone) == home
    by_id: dict[str, Any] = {"household_id": home, "person": living("somebody new", None)}
    await ask(world, "hygiene_kit", **WHOLE, **by_id)
    assert len((await world.get(f"/v1/households/{home}"))["person_ids"]) == 5


async def test_another_household_is_refused_by_ids_too(world: World) -> None:
    members, home = await family(world)
    other = (await world.post("/v1/households", {"code": "other"}, status=201))["household_id"]
    for who in ({"person_id": members[0]}, {"person": living("one", None)}):
        for whom in ("person", "household"):
            whole = who | {"for_whom": whom}
            assert await refused(world, household_id=other, **whole) == "other-household"
            await ask(world, "food_voucher", household_id=home, **whole)
    # Two that are named are not one, whoever asks.
    both = {"household_id": home, "person": living("somebody new", "other")}
    assert await refused(world, **both) == "other-household"
    await join(world, other, members[0])
    await ask(world, "food_voucher", household_id=other, person_id=members[0])


async def test_who_left_is_not_asked_for_in_that_household_by_ids(world: World) -> None:
    members, home = await family(world)
    by_id: dict[str, Any] = {"person_id": members[0], "household_id": home}
    await leave(world, home, members[0])
    before = await counted(world)
    for whom in ("person", "household"):
        assert await refused(world, for_whom=whom, **by_id) == "other-household"
    assert await counted(world) == before
    assert await home_of(world, members[0]) is None
    own = await ask(world, "food_parcel", person_id=members[0])
    assert (await world.need(own["need_id"]))["household_id"] is None
    # The household is asked for without them, by whoever belongs to it, and by them once they join.
    await ask(world, "food_voucher", **WHOLE, household_id=home)
    await ask(world, "food_voucher", **WHOLE, household_id=home, person_id=members[1])
    await join(world, home, members[0])
    for whom in ("person", "household"):
        need = await ask(world, "food_voucher", for_whom=whom, **by_id)
        assert (await world.need(need["need_id"]))["household_id"] == home


async def test_who_belongs_by_a_record_behind_is_asked_for_by_ids(world: World) -> None:
    members, home = await family(world)
    other = (await world.post("/v1/households", {}, status=201))["household_id"]
    root = await person(world, "root")
    by_ids: list[dict[str, Any]] = [
        {"person_id": each, "household_id": home} for each in (root, members[0])
    ]
    assert await refused(world, **by_ids[0]) == "other-household"
    await world.merge(members[0], root)
    for who in by_ids:
        for whom in ("person", "household"):
            need = await ask(world, "food_voucher", for_whom=whom, **who)
            assert (await world.need(need["need_id"]))["household_id"] == home
            assert await refused(world, **who | {"household_id": other}) == "other-household"
    # Nobody moved in by it.
    assert await home_of(world, root) is None
    await leave(world, home, root)
    for who in by_ids:
        assert await refused(world, **who) == "other-household"


async def test_the_household_of_who_stands_for_both_records_counts(world: World) -> None:
    behind = await person(world, "behind", household_code="old")
    root = await person(world, "root", household_code="new")
    await world.merge(behind, root)
    for code in ("behind", "root"):
        assert await refused(world, person=living(code, "old")) == "other-household"
        need = await ask(world, "food_parcel", person=living(code, "new"))
        assert (await world.need(need["need_id"]))["household_id"] == await home_of(world, root)


async def test_rows_that_name_another_household_are_rejected(world: World) -> None:
    members, home = await family(world)
    file = f"""{HEAD}
1,one,food_parcel,UA80,2024-02-03,elsewhere,true
2,new,food_parcel,UA80,2024-02-03,first,true
3,new,hygiene_kit,UA80,2024-02-03,second,
4,new,hygiene_kit,UA80,2024-02-03,FIRST,
5,two,hygiene_kit,UA80,2024-02-03,,
6,late,hygiene_kit,UA80,2024-02-03,,
7,late,food_parcel,UA80,2024-02-04,first,
8,late,food_voucher,UA80,2024-02-05,second,
"""
    rejected = [
        {"line": line, "column": "household_code", "rule": "other_household"} for line in (2, 4, 9)
    ]
    for dry_run in ("true", "false"):
        done = await send(world, file, dry_run=dry_run)
        assert done["problems"] == rejected
        assert (done["accepted"], done["rejected"]) == (5, 3)
    async with world.db.read() as conn:
        # Neither `elsewhere` nor `second` was made.
        assert await conn.fetchval("SELECT count(*) FROM household") == 2
        assert (
            await conn.fetchval("SELECT count(*) FROM person WHERE household_id <> $1", home) == 2
        )
        homes = await conn.fetch("SELECT DISTINCT household_id FROM need")
    assert len(homes) == 2
    # Once they have left, their row is taken in.
    await leave(world, home, members[0])
    again = await send(world, file)
    assert (again["accepted"], again["skipped"], again["problems"]) == (1, 5, rejected[1:])


async def test_a_dry_run_remembers_who_lives_where(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    someone = await person(world, "known")
    file = f"""{HEAD}
1,known,food_parcel,UA80,2024-02-03,first,
2,new,food_parcel,UA80,2024-02-03,first,
3,Known,hygiene_kit,UA80,2024-02-03,second,
4,new,hygiene_kit,UA80,2024-02-03,second,
5,known,food_voucher,UA80,2024-02-03,First,
6,other,food_parcel,UA80,2024-02-03,second,
"""
    for dry_run in ("true", "false"):
        done = await send(world, file, dry_run=dry_run)
        assert [each["line"] for each in done["problems"]] == [4, 5]
        assert (done["accepted"], done["rejected"]) == (4, 2)
    assert await home_of(world, someone) is not None
