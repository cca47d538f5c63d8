"""Which links are looked at, and locked for, to tell in which months their people were served."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import aidmesh_reporting
from aidmesh_contracts.ids import LinkId, NeedId, PersonId
from aidmesh_contracts.intake import NeedReversedV1, PersonMergedV1, PersonUnmergedV1
from aidmesh_contracts.intake_links import PersonLinkedV1, PersonPartedV1
from aidmesh_contracts.reporting import LinkServedV1
from aidmesh_reporting.handlers import linking
from aidmesh_reporting.handlers.linking import ORPHAN_DAYS, tell
from aidmesh_reporting.rebuild import rebuild
from integration.reporting.offices import APRIL, Office, Offices, link, settle

ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
MIGRATION = (
    Path(aidmesh_reporting.__file__).parent / "migrations" / "0014_reporting_dirty_links.sql"
)


async def test_the_facts_are_locked_only_to_tell_what_has_changed(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers = uuid4()
    await kyiv.serve(hers)
    await link(kyiv, hers, lviv, uuid4())
    await settle(kyiv, lviv)
    kept_of_orphan = "SELECT count(*) FROM link_heard WHERE region = 'odesa'"

    async def locks() -> int:
        """Tell; how many locks of facts that took."""
        async with kyiv.db.transaction() as tx:
            before = await tx.conn.fetchval(ADVISORY)
            await tell(tx)
            return int(await tx.conn.fetchval(ADVISORY)) - int(before)

    assert await locks() == 0
    await kyiv.serve(hers, APRIL)
    assert await locks() == 1
    assert await locks() == 0
    # What was said of a link that never came about is forgotten, though nothing else is to be said.
    await kyiv.hear("odesa", LinkServedV1(link_id=LinkId(uuid4()), months=(), version=1))
    assert await locks() == 0
    assert await kyiv.value(kept_of_orphan) == 1
    async with kyiv.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE link_heard SET heard_at = heard_at - make_interval(days => $1)", ORPHAN_DAYS + 1
        )
    assert await locks() == 1
    assert await kyiv.value(kept_of_orphan) == 0


@dataclass
class Told:
    """What Kyiv tells Lviv of its link, and what it looks at for that."""

    kyiv: Office
    looked: list[int] = field(default_factory=list)

    async def months(self) -> list[str]:
        """Tell; the months that were told last."""
        async with self.kyiv.db.transaction() as tx:
            self.looked.append(await tell(tx))
        async with self.kyiv.db.read() as conn:
            told = await conn.fetchval("SELECT months FROM link_told")
        return list(told or ())


def merging(one: UUID, into: UUID) -> dict[str, Any]:
    return {"person_id": PersonId(one), "into_person_id": PersonId(into), "merge_no": 1}


async def test_only_links_of_people_who_were_touched_are_looked_at(offices: Offices) -> None:
    (kyiv,) = await offices("kyiv")
    told = Told(kyiv)
    # The first of them stands for all who are one person, and stays so when another one parts.
    twin, hers, record, before = (UUID(int=each) for each in range(1, 5))
    await kyiv.serve(record, date(2024, 1, 4))
    await kyiv.take(PersonMergedV1(**merging(twin, hers)))
    linked = {"link_id": LinkId(uuid4()), "region": "lviv"}
    await kyiv.take(PersonLinkedV1(**linked, person_id=PersonId(hers)))
    assert await told.months() == []
    await kyiv.serve(before)
    assert await told.months() == []
    assert told.looked == [1, 0]
    march, april = await kyiv.serve(hers), await kyiv.serve(hers, APRIL)
    assert await told.months() == ["2024-03", "2024-04"]
    await kyiv.take(NeedReversedV1(need_id=NeedId(april), service_no=1, reason="mistake"))
    assert await told.months() == ["2024-03"]
    # What another record of hers has had is hers, also when it is served later, until they part.
    await kyiv.take(PersonMergedV1(**merging(record, hers)))
    assert await told.months() == ["2024-01", "2024-03"]
    await kyiv.serve(record, date(2024, 5, 4))
    assert await told.months() == ["2024-01", "2024-03", "2024-05"]
    await kyiv.take(PersonUnmergedV1(**merging(record, hers)))
    assert await told.months() == ["2024-03"]
    await kyiv.take(NeedReversedV1(need_id=NeedId(march), service_no=1, reason="mistake"))
    assert await told.months() == []
    assert told.looked == [1, 0, *[1] * 6]
    assert await told.months() == []
    assert told.looked[-1] == 0
    # One that is over is not looked at any more, and a reversal may come before its service.
    await kyiv.serve(hers)
    await kyiv.take(PersonPartedV1(link_id=linked["link_id"]))
    assert await told.months() == []
    assert told.looked[-1] == 0


async def test_more_links_than_are_told_at_once_are_all_looked_at(
    offices: Offices, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kyiv,) = await offices("kyiv")
    monkeypatch.setattr(linking, "TOLD_MAX", 2)
    people = [uuid4() for _ in range(5)]
    for person in people:
        await kyiv.serve(person)
        await kyiv.take(
            PersonLinkedV1(link_id=LinkId(uuid4()), person_id=PersonId(person), region="lviv")
        )
    looked = []
    for _ in range(4):
        async with kyiv.db.transaction() as tx:
            looked.append(await tell(tx))
    assert looked == [2, 2, 1, 0]
    assert await kyiv.value("SELECT count(*) FROM link_told") == 5


async def test_after_a_rebuild_or_an_upgrade_every_link_is_looked_at(offices: Offices) -> None:
    kyiv, lviv = await offices("kyiv", "lviv")
    hers = uuid4()
    await kyiv.serve(hers)
    await link(kyiv, hers, lviv, uuid4())
    await link(kyiv, uuid4(), lviv, uuid4())
    over = await link(kyiv, uuid4(), lviv, uuid4())
    await settle(kyiv, lviv)
    await kyiv.take(PersonPartedV1(link_id=over))
    dirty = "SELECT count(*) FROM dirty_link"
    assert await kyiv.value(dirty) == 0
    await rebuild(kyiv.db)
    assert await kyiv.value(dirty) == 2
    apply = MIGRATION.read_text().partition("-- migrate: apply")[2].partition("-- migrate")[0]
    async with kyiv.db.transaction() as tx:
        await tx.conn.execute(f"DROP TABLE dirty_link; {apply}")
    assert await kyiv.value(dirty) == 2
