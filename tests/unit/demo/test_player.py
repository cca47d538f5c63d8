"""What the player of the demo makes of the answers of bulk forms."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import httpx
import pytest

from aidmesh.demo.approvals import AGAINST_A_LIMIT, CAME_LATE, approve
from aidmesh.demo.office import Json, Office, RefusedError
from aidmesh.demo.player import Act, RegionPlay
from aidmesh.demo.treasury import Buyer
from aidmesh_chassis.auth import Role


class Form:
    """An office that has one form: it answers rows as it was told to."""

    region = "kyiv"

    def __init__(self, answers: Mapping[UUID, Json]) -> None:
        self._answers = answers
        self.sent: list[Mapping[str, object]] = []

    async def rows(
        self, service: str, path: str, role: Role, source: str, rows: Sequence[Mapping[str, object]]
    ) -> list[Json]:
        if rows:
            assert (service, path, role) == ("intake", "/v1/needs:serve", Role.CASEWORKER)
        self.sent += rows
        return [self._answers[UUID(str(row["need_id"]))] for row in rows]


def test_services_count_once_and_what_is_not_ready_is_tried_again() -> None:
    done: Json = {"status": "done", "problem": None}
    wait: Json = {"status": "rejected", "problem": "step-not-allowed"}
    acts = [
        Act(form, row_id, {"served_on": "2024-01-03"})
        for form, row_id in (("services", "a"), ("services", "b"), ("confirmations", "c"))
    ]
    ids = {act.row_id: uuid4() for act in acts}
    form = Form({ids["a"]: done, ids["b"]: wait, ids["c"]: done})
    play = RegionPlay(Path(), cast("Office", form), {}, cast("Buyer", None), need_ids=dict(ids))
    play.pending = list(acts)
    asyncio.run(play.work_off(1))
    assert [row["row_id"] for row in form.sent] == ["services/a", "services/b", "confirmations/c"]
    assert play.done == 1  # that a start is confirmed was counted when it was attended
    assert play.pending == [acts[1]]

    strange = Form({ids["b"]: {"status": "rejected", "problem": "row-changed"}})
    play.office = cast("Office", strange)
    with pytest.raises(RefusedError):
        asyncio.run(play.work_off(2))


class Desk:
    """An office where a caseworker may approve some needs, and a lead all of them."""

    region = "kyiv"

    def __init__(self, easy: set[UUID]) -> None:
        self._easy = easy
        self.asked: list[tuple[Role, object, int]] = []

    async def post(self, service: str, path: str, role: Role, body: Json) -> httpx.Response:
        assert (service, path) == ("intake", "/v1/needs:approve")
        rows = cast("list[Json]", body["rows"])
        self.asked.append((role, body.get("override_reason"), len(rows)))
        may = [role is Role.LEAD or UUID(str(row["need_id"])) in self._easy for row in rows]
        done: Json = {"status": "done", "problem": None}
        refused: Json = {"status": "rejected", "problem": AGAINST_A_LIMIT}
        return httpx.Response(200, json={"rows": [done if each else refused for each in may]})


def test_a_lead_approves_what_a_limit_hinders_as_planned_and_because_aid_came_late() -> None:
    ids = {row_id: uuid4() for row_id in "abcd"}
    desk = Desk({ids["a"]})
    planned = [
        {"row_id": "a", "override_reason": ""},
        {"row_id": "b", "override_reason": "lost_in_strike"},
    ]
    asyncio.run(approve(cast("Office", desk), ids, planned, ["a", "b", "c", "d"]))
    assert desk.asked == [
        (Role.CASEWORKER, None, 2),
        (Role.LEAD, "lost_in_strike", 1),
        (Role.LEAD, CAME_LATE, 2),
    ]
    with pytest.raises(RefusedError):
        asyncio.run(approve(cast("Office", Desk(set())), ids, planned[:1], []))
