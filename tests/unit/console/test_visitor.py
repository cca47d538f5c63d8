"""The visitor of the proof of containers sends the desk's forms as a browser does."""

from collections.abc import AsyncIterator
from typing import cast

import httpx
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.staff import StaffFile
from aidmesh_console.app import STAFF_FILE
from containers.desk import LOGIN, NEED, PASSWORD
from support.desk import FakeDesk
from support.made_up.basics import SMALL, number
from support.visitor import Visitor

RESERVATION = number("reservation parcel")


@pytest.fixture
async def visitor(desk: FakeDesk) -> AsyncIterator[Visitor]:
    """Nobody is signed in yet."""
    staff = StaffFile(desk.keys_dir / STAFF_FILE, passes=1, memory_bytes=8192)
    staff.add(LOGIN, PASSWORD, [Role.CASEWORKER, Role.LOGISTICIAN])
    app = httpx.ASGITransport(desk.service.app, raise_app_exceptions=False)
    async with Visitor("http://desk.test", app) as found:
        yield found


async def test_a_visitor_registers_somebody_and_hands_over(
    visitor: Visitor, desk: FakeDesk
) -> None:
    assert 'href="/hand-over"' in await visitor.sign_in(LOGIN, PASSWORD)
    shown = await visitor.send(
        "/register", "/register", client_code="C-1", place_area="UA80", site_id=str(SMALL),
        need_food_parcel="1",
    )  # fmt: skip
    assert NEED.search(shown)
    path, body, _ = desk.region.posts[-1]
    assert path == "/v1/requests"
    assert body["for_whom"] == "person"
    (need,) = cast("list[dict[str, object]]", body["needs"])
    assert (need["kind"], need["site_id"], need["quantity"]) == ("food_parcel", str(SMALL), 1)
    assert "given" not in need
    given = await visitor.send("/hand-over", f"/hand-over/{RESERVATION}/handover")
    assert f"/hand-over/{RESERVATION}/undo" in given
    assert desk.region.posts[-1][0] == f"/v1/reservations/{RESERVATION}:issue"


async def test_a_visitor_fails_where_the_desk_refuses(visitor: Visitor) -> None:
    with pytest.raises(AssertionError, match="/needs: 303"):
        await visitor.page("/needs")  # nobody is signed in
    with pytest.raises(AssertionError, match="/sign-in: 403"):
        await visitor.sign_in(LOGIN, "another password")
    await visitor.sign_in(LOGIN, PASSWORD)
    with pytest.raises(AssertionError, match="/register: 422"):
        await visitor.send("/register", "/register", client_code="C-1", place_area="UA80")
    with pytest.raises(AssertionError, match="has no form for /elsewhere"):
        await visitor.send("/register", "/elsewhere")
