"""Every record that is erased is on the list that outlives backups; a restore erases just these."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from aidmesh.restoring.forward import Forwarded, Restored, erase
from aidmesh_chassis.auth import Role
from aidmesh_chassis.erasures import Erasure, Kind, read_journal
from aidmesh_contracts.base import Event
from aidmesh_contracts.intake import PersonErasedV1, PersonUnmergedV1
from integration.intake.referred import Two
from integration.intake.sides import two_sides
from integration.intake.test_erasing import household
from integration.intake.test_one_person import person
from integration.intake.world import World, only, open_world
from support.servers import DatabaseFactory

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Office(World):
    """An intake that writes erasures down, and can be restored."""

    folder: Path
    dsn: str

    def listed(self) -> set[tuple[Kind, str]]:
        return {(each.kind, str(each.id)) for each in read_journal(self.folder / "erasures.log")}

    async def erase(self, person_id: str) -> None:
        await self.post(f"/v1/persons/{person_id}:erase", None, Role.LEAD)

    async def restored(
        self, listed: Sequence[tuple[Kind, str]], heard: Sequence[str] = ()
    ) -> Forwarded:
        """What is here is out of a backup, and these were erased since."""
        region = frozenset({"kyiv"})
        at = Restored("kyiv", 2, NOW, region, {"intake": self.dsn}, {})
        done = Forwarded()
        await erase(
            at,
            [Erasure(NOW, kind, UUID(identity)) for kind, identity in listed],
            [Erasure(NOW, "record", UUID(identity)) for identity in heard],
            done,
        )
        return done

    async def is_there(self, person_id: str) -> bool:
        async with self.db.read() as conn:
            return bool(
                await conn.fetchval(
                    "SELECT erased_at IS NULL AND wrapped_key IS NOT NULL FROM person"
                    " WHERE id = $1",
                    UUID(person_id),
                )
            )

    async def stands_for(self, person_id: str) -> str:
        return str((await self.get(f"/v1/persons/{person_id}"))["person_id"])


@pytest.fixture
async def office(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Office]:
    """Intake of region kyiv, with a list."""
    dsn = await database("intake")
    world = await open_world(dsn, tmp_path, erasures_file=tmp_path / "erasures.log")
    office = Office(world.service, world.db, world.keys, world.client)
    office.folder, office.dsn = tmp_path, dsn
    yield office
    await office.client.aclose()
    await office.db.close()


def parted(events: Sequence[Event]) -> list[tuple[str, str, int]]:
    return [
        (str(each.person_id), str(each.into_person_id), each.merge_no)
        for each in only(events, PersonUnmergedV1)
    ]


async def test_all_records_of_a_person_are_listed_with_the_households_they_leave_empty(
    office: Office,
) -> None:
    one, two, three = [await person(office, code) for code in ("one", "two", "three")]
    home = await household(office, two)
    await office.merge(two, one)
    await office.erase(two)
    assert office.listed() == {("record", one), ("record", two), ("household", home)}
    other = await household(office, three)
    await office.post(f"/v1/households/{other}:erase", None, Role.LEAD)
    assert office.listed() >= {("household", other)}
    assert ("record", three) not in office.listed()


async def test_nobody_is_erased_who_cannot_be_written_down(office: Office) -> None:
    someone = await person(office, "one")
    home = await household(office, someone)
    (office.folder / "erasures.log").mkdir()
    paths = (f"/v1/persons/{someone}:erase", f"/v1/households/{home}:erase")
    await asyncio.gather(*(office.post(path, None, Role.LEAD, status=503) for path in paths))
    assert await office.is_there(someone)
    await office.get(f"/v1/households/{home}")


async def test_what_was_made_of_an_offer_is_written_down_before_it_goes(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    path = tmp_path / "erasures.log"
    async with two_sides(database, tmp_path, erasures_file=path) as sides:
        two = Two(*sides)
        need_id, _, theirs = await two.accepted()
        person_id = await two.lviv.person_of(theirs)
        cancel = {"reason": "moved_away"}
        await two.kyiv.world.post(f"/v1/needs/{need_id}:cancel", cancel)
        await two.exchange()
        path.mkdir()
        with pytest.raises(OSError, match=r"erasures\.log"):
            await two.lviv.world.sweep("ended_referrals")
        assert await two.lviv.is_readable(theirs)
        path.rmdir()
        await two.lviv.world.sweep("ended_referrals")
        assert not await two.lviv.is_readable(theirs)
        assert [(each.kind, each.id) for each in read_journal(path)] == [("record", person_id)]


async def test_records_that_were_merged_since_the_backup_are_erased_each(office: Office) -> None:
    one, two, other = [await person(office, code) for code in ("one", "two", "three")]
    listed: list[tuple[Kind, str]] = [("record", one), ("record", two), ("record", str(uuid4()))]
    done = await office.restored(listed)
    assert (done.erased, done.parted, done.not_erased) == (2, [], [])
    assert [await office.is_there(each) for each in (one, two, other)] == [False, False, True]
    assert len(only(await office.published(), PersonErasedV1)) == 2
    assert (await office.restored(listed)).erased == 0


async def test_records_that_were_parted_since_the_backup_stay(office: Office) -> None:
    """The first stood for all; with it went only the last."""
    codes = ("one", "two", "behind", "last")
    one, two, behind, last = [await person(office, code) for code in codes]
    await office.merge(behind, two)
    await office.merge(two, one)
    await office.merge(last, one)
    await office.published()
    done = await office.restored([("record", one), ("record", last)])
    assert (done.erased, done.parted) == (2, [two])
    assert [await office.is_there(each) for each in (one, last)] == [False, False]
    assert parted(await office.published()) == [(two, one, 1)]
    # They stand for themselves again, and may be merged anew.
    assert await office.stands_for(two) == await office.stands_for(behind) == two
    assert (await office.post("/v1/persons:find", {"client_code": "two"}))["person_id"] == two
    await office.merge(two, await person(office, "five"))


async def test_a_record_between_two_goes_alone(office: Office) -> None:
    one, two, three = [await person(office, code) for code in ("one", "two", "three")]
    await office.merge(three, two)
    await office.merge(two, one)
    await office.published()
    done = await office.restored([("record", two)])
    assert done.parted == sorted((one, three))
    assert set(parted(await office.published())) == {(two, one, 1), (three, two, 1)}
    assert [await office.is_there(each) for each in (one, two, three)] == [True, False, True]
    for each in (one, three):
        assert await office.stands_for(each) == each
    await office.erase(one)
    assert await office.is_there(three)


async def test_a_line_of_before_takes_along_what_stood_behind_it(office: Office) -> None:
    one, two = await person(office, "one"), await person(office, "two")
    await office.merge(two, one)
    # The own log may have one of the two alone.
    done = await office.restored([("person", one)], heard=[one])
    assert (done.erased, done.parted) == (1, [])
    assert [await office.is_there(each) for each in (one, two)] == [False, False]


async def test_a_household_goes_by_its_line_or_where_nobody_wrote_lines(office: Office) -> None:
    one, two = await person(office, "one"), await person(office, "two")
    joined, left = await household(office, one), await household(office, two)
    # Somebody had joined the first since; only the log knows of the second.
    await office.restored([("record", one)], heard=[one, two])
    assert not await office.is_there(one)
    assert not await office.is_there(two)
    await office.get(f"/v1/households/{joined}")
    await office.get(f"/v1/households/{left}", status=404)
    await office.restored([("household", joined)])
    await office.get(f"/v1/households/{joined}", status=404)
