"""The restore drill of docs/containers.md: a backup, more work, all volumes gone, a restore."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from containers.desk import PATIENCE_S, PatientStaff, arrives
from containers.engine import Project
from e2e.test_restore import cash, pay
from support.funding import fund
from support.running import Json
from support.waiting import eventually

CASH_MINOR: Final = 360_000
SENT_MINOR: Final = 200_000
AREA: Final = "UA8021"

# As in docs/containers.md; -T where there is no terminal.
EXEC: Final = "docker compose exec -T supervisor"
RUN: Final = "docker compose run --rm -T"
KEY_PAIR: Final = f"""
{EXEC} aidmesh keys backup --out /tmp/pair
{EXEC} cat /tmp/pair/backup.key > backup.key
{EXEC} sh -c 'mv /tmp/pair/backup.pub /aidmesh/backups && rm -r /tmp/pair'
"""
BACK_UP: Final = f"""
{EXEC} aidmesh backup kyiv --to /aidmesh/backups/backup.pub --out /aidmesh/backups/kyiv.backup
{EXEC} cat /aidmesh/backups/kyiv.backup > kyiv.backup
{EXEC} tar -C /aidmesh -c keys data > keys.tar
"""
COPY_ERASURES: Final = f"{EXEC} cat /aidmesh/erasures/erasures.log > erasures.log"
BRING: Final = f"""
bring() {{ {RUN} --no-deps supervisor "$@"; }}
bring tar -C /aidmesh -x < keys.tar
bring sh -c 'cat > /aidmesh/backups/kyiv.backup' < kyiv.backup
bring sh -c 'cat > /aidmesh/erasures/erasures.log' < erasures.log
"""
RESTORE: Final = f"""
{RUN} supervisor aidmesh restore kyiv --backup /aidmesh/backups/kyiv.backup --key=- --json \\
    < backup.key
"""


@dataclass(slots=True)
class Before:
    """What was there, and what was done since the backup."""

    needs: int
    own: str
    paid: UUID
    erased: str
    sent: Json


async def drill(
    first: Project, second: Project, here: PatientStaff, there: PatientStaff, folder: Path
) -> tuple[float, float, int]:
    """Raises AssertionError or Failed with what does not hold.

    Args:
        first: is lost and restored.
        second: is linked with it.
        here: staff of the first.
        there: staff of the second.
        folder: an empty one, elsewhere.

    Returns:
        seconds that the backup took, seconds from the first command of the restore until all are
        healthy again, and the bytes of the backup.
    """
    own = await fund(here, 1_000_000, area=AREA)
    paid = await cash(here, AREA)
    person = str((await here.need(await here.ask_for("food_parcel")))["person_id"])
    await asyncio.to_thread(first.shell, KEY_PAIR, folder)
    began = time.monotonic()
    await asyncio.to_thread(first.shell, BACK_UP, folder)
    backup_s = time.monotonic() - began
    before = Before(
        int(first.value("intake", "SELECT count(*) FROM need")),
        str(own["allotment_id"]),
        paid,
        person,
        await _an_hour(here, there, paid, person),
    )
    await eventually(lambda: _heard(second, before.own), PATIENCE_S)
    await asyncio.to_thread(first.shell, COPY_ERASURES, folder)

    # What ended and still has a volume would keep it from being deleted.
    await asyncio.to_thread(second.compose, "rm", "-f", "ask", "invite", "join")
    await asyncio.to_thread(first.down, forget=True)
    began = time.monotonic()
    await asyncio.to_thread(first.shell, BRING, folder)
    outcome: Json = json.loads(await asyncio.to_thread(first.shell, RESTORE, folder))
    await asyncio.to_thread(first.up)
    restored_s = time.monotonic() - began
    assert outcome["epoch"] == 2, outcome
    assert outcome["told_by"]["lviv"] > 0, outcome
    assert outcome["erased"] == 1, outcome
    assert outcome["reserved_minor"] == {before.own: CASH_MINOR}, outcome
    await _is_right(first, here, there, before)
    return backup_s, restored_s, (folder / "kyiv.backup").stat().st_size


async def _an_hour(here: PatientStaff, there: PatientStaff, paid: UUID, person: str) -> Json:
    """What the backup knows nothing of: cash is paid and more set aside, money is sent, somebody is
    erased."""
    await pay(here, paid)
    await cash(here, AREA)
    sent = await fund(here, SENT_MINOR, to_region=there.region)
    await arrives(there, str(sent["allotment_id"]), SENT_MINOR)
    await here.post("lead", "intake", f"/persons/{person}:erase")
    return sent


async def _heard(second: Project, own: str) -> bool:
    """Whether the second region knows how much of the cash was set aside and spent."""
    columns = "committed_minor, spent_minor"
    query = f"SELECT {columns} FROM allotment_elsewhere WHERE allotment_id = '{own}'"  # noqa: S608
    found = await asyncio.to_thread(second.value, "payments", query)
    assert found == f"{CASH_MINOR}|{CASH_MINOR}", found
    return True


async def _is_right(
    first: Project, here: PatientStaff, there: PatientStaff, before: Before
) -> None:
    assert int(first.value("intake", "SELECT count(*) FROM need")) == before.needs
    await here.get("caseworker", "intake", f"/persons/{before.erased}", status=410)
    # Nobody is paid twice: a person looks it up first.
    row = {"row_id": str(before.paid), "need_id": str(before.paid)}
    body = {"source": "again", "rows": [row]}
    refused = await here.post("approver", "payments", "/payouts:approve", body)
    assert [each["status"] for each in refused["rows"]] == ["rejected"], refused
    listed = await here.get("finance", "payments", "/unproven")
    assert "payout" in {each["about"] for each in listed["unproven"]}, listed
    # What was sent is gone here and there once, and what was spent is not free again.
    grants = (await here.get("finance", "payments", "/grants/summary"))["grants"]
    [grant] = [each for each in grants if each["id"] == before.sent["grant_id"]]
    assert grant["unallotted_minor"] == 0, grant
    await arrives(there, str(before.sent["allotment_id"]), SENT_MINOR)
    page = await here.get("finance", "payments", "/allotments")
    [own] = [each for each in page["allotments"] if each["allotment_id"] == before.own]
    used = own["held_minor"] + own["committed_minor"] + own["spent_minor"]
    assert used == 2 * CASH_MINOR, own  # what is open here, and what was done since
    # The link holds, and what is new goes over it.
    again = await fund(here, SENT_MINOR, to_region=there.region)
    await arrives(there, str(again["allotment_id"]), SENT_MINOR)
