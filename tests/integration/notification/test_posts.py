"""What messages are called where they go: nothing leads from that to a need but this region."""

from functools import partial
from pathlib import Path
from uuid import uuid4

import aidmesh_notification
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import PersonErasedV1
from aidmesh_notification.channels import NotSent
from aidmesh_notification.handlers import telling
from aidmesh_notification.handlers.sweeping import forget_posts
from integration.notification.world import World, ready

MIGRATION = (
    Path(aidmesh_notification.__file__).parent / "migrations" / "0008_notification_post_ids.sql"
)


async def test_what_a_message_is_called_on_its_way_follows_from_nothing_and_stays_the_same(
    world: World,
) -> None:
    for _ in range(2):
        person = uuid4()
        await world.take(world.card(person))
        await world.take(ready(person))
    world.recorder.fails = NotSent(lasting=False)
    await world.sender().run_once()
    asked = dict(zip(world.recorder.asked, world.recorder.posted, strict=True))
    assert len({*asked, *asked.values()}) == 4
    assert {each.version for each in asked.values()} == {4}
    world.recorder.fails = None
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE message SET due_at = now()")
    await world.sender().run_once()
    again = zip(world.recorder.asked[2:], world.recorder.posted[2:], strict=True)
    assert dict(again) == asked, "a provider that had it after all sees that it is the same"


async def test_what_a_message_was_called_goes_with_its_person(world: World) -> None:
    erased, other = uuid4(), uuid4()
    await world.take(world.card(erased), world.card(other))
    await world.take(ready(erased), ready(other))
    await world.sender().run_once()
    before = {row["person_id"]: row["post_id"] for row in await world.messages()}
    await world.take(PersonErasedV1(person_id=PersonId(erased)))
    after = {row["person_id"]: row["post_id"] for row in await world.messages()}
    assert after == {erased: None, other: before[other]}
    async with world.database.transaction() as tx:
        told = partial(telling.report, tx, told="delivered", code=None, sensitive_too=False)
        assert await told(before[erased]) is None
        assert await told(before[other]) == "delivered"


async def test_those_that_left_before_are_reported_on_by_their_own_id(world: World) -> None:
    old, erased, new = (uuid4() for _ in range(3))
    for person in (old, erased, new):
        await world.take(world.card(person))
        await world.take(ready(person))
    await world.sender().run_once()
    await world.take(PersonErasedV1(person_id=PersonId(erased)))
    update = MIGRATION.read_text().partition("\nUPDATE ")[2].partition(";")[0]
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE message SET post_id = NULL")
        await tx.conn.execute(
            "UPDATE message SET changed_at = now() - interval '15 days' WHERE person_id = $1", old
        )
        await tx.conn.execute(f"UPDATE {update}")
    [left] = [row for row in await world.messages() if row["post_id"] is not None]
    assert (left["person_id"], left["post_id"]) == (new, left["message_id"])


async def test_what_a_message_was_called_is_forgotten_when_nobody_reports_on_it(
    world: World,
) -> None:
    old, new = uuid4(), uuid4()
    await world.take(world.card(old), world.card(new))
    await world.take(ready(old), ready(new))
    await world.sender().run_once()
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE message SET changed_at = now() - interval '15 days' WHERE person_id = $1", old
        )
        assert await forget_posts(tx) == 1
        assert await forget_posts(tx) == 0
    kept = {row["person_id"] for row in await world.messages() if row["post_id"] is not None}
    assert kept == {new}
