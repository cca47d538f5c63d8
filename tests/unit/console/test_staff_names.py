"""Staff are called by the name that they sign in by, as far as this region knows it."""

from typing import TYPE_CHECKING
from uuid import UUID

from aidmesh_chassis.auth import Role
from aidmesh_chassis.staff import StaffFile
from aidmesh_console.app import STAFF_FILE
from support.desk import FakeDesk
from support.made_up.basics import number
from support.made_up.money import BILLS
from support.made_up.needs import MERGES, NEEDS, whole

if TYPE_CHECKING:
    from .conftest import Browser

STRANGER = number("somebody of before")
PARCEL = number("parcel")


def _anna(desk: FakeDesk) -> UUID:
    staff = StaffFile(desk.keys_dir / STAFF_FILE, passes=1, memory_bytes=8192)
    return staff.add("anna", "correct horse battery", [Role.LEAD]).staff_id


def _is_named(desk: FakeDesk, anna: UUID) -> None:
    """Have Anna and somebody unknown do one thing each that pages tell of."""
    answers, two = desk.region.answers, (str(anna), str(STRANGER))
    row = next(row for row in NEEDS if row["need_id"] == str(PARCEL))
    steps = [
        {"at": "2026-01-02T10:00:00Z", "note": "approved", "detail": None, "staff_id": each,
         "overrode": "limit", "override_reason": "danger"}
        for each in two
    ]  # fmt: skip
    answers[f"GET /v1/needs/{PARCEL}"] = (200, {**whole(row), "timeline": steps})
    merges = [{**MERGES[0], "merge_id": str(number(each)), "proposed_by": each} for each in two]
    answers["GET /v1/merges"] = (200, {"merges": merges, "next": None})
    bills = [{**BILLS[0], "id": str(number(each)), "biller": each} for each in two]
    answers["GET /v1/bills"] = (200, {"bills": bills, "next": None})


async def test_who_did_something_is_named(browser: "Browser", desk: FakeDesk) -> None:
    anna = _anna(desk)
    await browser.sign_in(Role.LEAD)
    _is_named(desk, anna)
    for path in (f"/needs/{PARCEL}", "/merges", "/money/bills"):
        page = (await browser.get(path)).text
        assert "by anna" in page, path
        assert f"by staff {STRANGER.hex[:8].upper()}" in page, path
        assert anna.hex[:8].upper() not in page, path


async def test_pages_are_shown_where_nobody_can_say_who(browser: "Browser", desk: FakeDesk) -> None:
    anna = _anna(desk)
    _is_named(desk, anna)
    await browser.sign_in(Role.LEAD)
    (desk.keys_dir / STAFF_FILE).write_text("damaged\n")
    page = await browser.get("/merges")
    assert page.status_code == 200
    assert f"by staff {anna.hex[:8].upper()}" in page.text
