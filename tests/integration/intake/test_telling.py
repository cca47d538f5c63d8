"""What intake's logs tell of needs: enough to follow one, in counts where there are many."""

from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import State
from aidmesh_intake.handlers import acting
from integration.intake.files import HEAD, line, send
from integration.intake.world import World, confirmed, grew, held, issued, only, refused
from support.loglines import written


async def test_a_need_can_be_followed_by_its_id(world: World) -> None:
    with written("intake") as lines:
        need_id = await world.request("food_parcel")
        (approved,) = only(await world.published(), NeedApprovedV1)
        await world.feed(refused(approved))
        await world.feed(grew("food_parcel", 1))
        await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "no_longer_needed"})
    (waits,) = lines.of("need.waitlisted")
    assert (waits["needs"], waits["need_id"]) == (1, str(need_id))
    assert (waits["why"], waits["resources"]) == ({"short": 1}, {"stock": 1})
    (woken,) = lines.of("need.woken")
    assert (woken["needs"], woken["need_id"]) == (1, str(need_id))
    (closed,) = lines.of("need.closed")
    assert closed["states"] == {"cancelled": 1}
    assert "no_longer_needed" not in str(closed)  # with the need's id some reasons tell of health
    # The request that it was is found by the same id, and both by the request's.
    (asked,) = [each for each in lines.of("http.request") if each["route"].endswith(":cancel")]
    assert asked["need_id"] == closed["need_id"] == str(need_id)
    assert asked["request_id"] == closed["request_id"]
    assert "food_parcel" not in lines.text  # with an id it would tell what somebody needs
    assert lines.of("need.step") == []


async def test_batches_are_told_in_counts(world: World) -> None:
    needs = [await world.request("food_parcel", quantity=1) for _ in range(3)]
    approvals = only(await world.published(), NeedApprovedV1)
    with written("intake") as lines:
        await world.feed(*(refused(each) for each in approvals))
    (waits,) = lines.of("need.waitlisted")
    assert (waits["needs"], waits["why"], "need_id" in waits) == (3, {"short": 3}, False)
    with written("intake", "debug") as lines:
        await world.feed(grew("food_parcel", 3))
    assert {each["need_id"] for each in lines.of("need.step")} == {str(each) for each in needs}
    assert {each["step"] for each in lines.of("need.step")} == {"woken"}


async def test_what_was_rolled_back_is_not_told(world: World) -> None:
    need_id = await world.request("food_parcel")
    with written("intake") as lines, pytest.raises(ConnectionResetError):  # noqa: PT012
        async with world.db.transaction() as tx:
            (need,) = await acting.act(
                tx, [need_id], lambda each: commands.end(each, State.DECLINED, "x"), uuid4()
            )
            assert need.rule is None
            raise ConnectionResetError
    assert lines.of("need.closed") == []
    assert await world.state(need_id) == "approved"


async def test_trouble_is_a_warning(world: World) -> None:
    late = await world.request("food_parcel")
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET deadline_at = now()")
    with written("intake") as lines:
        assert await world.sweep("overdue_attempts") == 1
        twice: list[Event] = [issued(late, attempt_no=1), issued(late, attempt_no=2)]
        for event in (held(late, 2), confirmed(late, 2), *twice):
            await world.feed(event)
    (unanswered,) = lines.of("need.unanswered")
    assert (unanswered["level"], unanswered["need_id"]) == ("warning", str(late))
    (conflict,) = lines.of("need.conflict")
    assert conflict["conflicts"] == {"served_by_two_attempts": 1}
    assert UUID(conflict["need_id"]) == NeedId(late)


async def test_an_import_ends_with_one_line(world: World) -> None:
    with written("intake") as lines:
        done = await send(world, "\n".join([HEAD, line(1), line(2, quantity="0")]))
        await send(world, "\n".join([HEAD, line(3)]), dry_run="true")
    taken, tried = lines.of("import.ended")
    assert (taken["import_id"], taken["accepted"], taken["rejected"]) == (done["import_id"], 1, 1)
    assert (tried["dry_run"], tried["accepted"]) == (True, 1)
    assert "canary" not in lines.text
    assert "code-1" not in lines.text
