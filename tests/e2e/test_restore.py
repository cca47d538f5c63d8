"""A restore drill: a region's disks are gone, and its backup is older than what was done since.

`AIDMESH_DRILL_AGE_S=3600` has the backup really grow that old, for whoever can wait: half of the
time goes by before what the backup knows nothing of, half after it.
"""

import asyncio
import json
import os
import shutil
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from support.funding import TODAY, fund
from support.running import Json, RunningMesh, Staff
from support.waiting import eventually

AGE_S = float(os.environ.get("AIDMESH_DRILL_AGE_S", "0"))
WAIT_S = 60.0
CASH_MINOR = 360_000
TOLD = """
    SELECT event_id FROM outbox
    WHERE status = 'acked' AND headers ->> 'ce-type' = 'payments.allotment.changed.v1'
    ORDER BY seq DESC LIMIT 1
"""


@pytest.mark.timeout(900 + AGE_S)
async def test_what_was_done_after_the_backup_is_neither_lost_sight_of_nor_done_twice(
    tmp_path: Path,
) -> None:
    mesh = RunningMesh(tmp_path / "m", "kyiv,lviv")
    try:
        await asyncio.to_thread(mesh.start)
        kyiv, lviv = mesh.staff("kyiv"), mesh.staff("lviv")
        given = await fund(kyiv, 900_000, to_region="lviv", allotted_minor=300_000)
        own = await fund(kyiv, 1_000_000, area="UA8021")
        taken = await fund(lviv, 500_000, to_region="kyiv", area="UA8022")
        paid = await cash(kyiv, "UA8021")
        shipment = await _shipment(kyiv, lviv)
        erased, same = await _person(kyiv), await _person(kyiv)
        await eventually(lambda: _allotment(mesh, "kyiv", taken["allotment_id"]), WAIT_S)
        backup = await back_up(mesh, tmp_path)
        await asyncio.sleep(AGE_S / 2)

        # What the backup knows nothing of.
        more = await kyiv.post(
            "finance", "payments", "/allotments",
            {"grant_id": given["grant_id"], "budget_line": "aid", "to_region": "lviv",
             "amount_minor": 200_000, "currency": "UAH"},
        )  # fmt: skip
        await cash(kyiv, "UA8021")
        await pay(kyiv, paid)
        await kyiv.post(
            "finance", "payments", f"/allotments/{taken['allotment_id']}:return",
            {"amount_minor": 30_000},
        )  # fmt: skip
        await _send(kyiv, lviv, shipment)
        late = await fund(lviv, 150_000, to_region="kyiv", area="UA8024")
        await eventually(lambda: _allotment(mesh, "kyiv", late["allotment_id"]), WAIT_S)
        back = {"amount_minor": 20_000}
        late_path = f"/allotments/{late['allotment_id']}:return"
        await kyiv.post("finance", "payments", late_path, back)
        await _merge(kyiv, same, erased)
        await kyiv.post("lead", "intake", f"/persons/{erased}:erase")
        used = {"held_minor": 0, "committed_minor": CASH_MINOR, "spent_minor": CASH_MINOR}
        await eventually(lambda: _heard(mesh, own["allotment_id"], used), WAIT_S)
        await eventually(lambda: _allotment(mesh, "lviv", more["allotment_id"]), WAIT_S)
        await eventually(lambda: _heard(mesh, taken["allotment_id"], {"returned_minor": 30_000}))
        await eventually(lambda: _heard(mesh, late["allotment_id"], {"returned_minor": 20_000}))
        before = await _allotment(mesh, "lviv", given["allotment_id"])
        await asyncio.sleep(AGE_S / 2)
        await asyncio.to_thread(mesh.stop)

        for part in ("postgres", "nats"):
            shutil.rmtree(mesh.data / "kyiv" / part)
        outcome = await restore(mesh, tmp_path, backup)
        assert outcome["epoch"] == 2
        assert outcome["told_by"]["lviv"] > 0
        assert outcome["told_by"]["own log"] == 0
        assert (outcome["erased"], outcome["parted"]) == (2, [])
        assert outcome["reserved_minor"] == {own["allotment_id"]: CASH_MINOR}
        assert outcome["unproven"]["payouts"] == 1
        await asyncio.to_thread(mesh.start)

        await kyiv.close()
        kyiv = mesh.staff("kyiv")
        # No allotment is free again.
        [grant] = [each for each in await _grants(kyiv) if each["id"] == given["grant_id"]]
        assert grant["unallotted_minor"] == 900_000 - 300_000 - 200_000
        mine = await _allotment(mesh, "kyiv", own["allotment_id"])
        assert _free(mine) == 1_000_000 - 2 * CASH_MINOR
        returned = await _allotment(mesh, "kyiv", taken["allotment_id"])
        assert returned["returned_minor"] == 30_000
        credited = await _allotment(mesh, "kyiv", late["allotment_id"])
        assert (credited["received_minor"], credited["returned_minor"]) == (150_000, 20_000)
        # Peers stay right.
        assert await _allotment(mesh, "lviv", given["allotment_id"]) == before
        later = await _allotment(mesh, "lviv", more["allotment_id"])
        assert later["received_minor"] == 200_000
        await eventually(lambda: _heard(mesh, own["allotment_id"], _used(mine)), WAIT_S)
        # What left has left, and was counted once.
        answer = await kyiv.get("logistician", "inventory", f"/shipments/{shipment}")
        assert (answer["state"], answer["in_transit"]) == ("received", 0)
        # Nobody is paid twice: a person looks it up first.
        row = {"row_id": str(paid), "need_id": str(paid)}
        body = {"source": "again", "rows": [row]}
        refused = await kyiv.post("approver", "payments", "/payouts:approve", body)
        assert [each["status"] for each in refused["rows"]] == ["rejected"], refused
        listed = await kyiv.get("finance", "payments", "/unproven")
        [payout] = [each for each in listed["unproven"] if each["about"] == "payout"]
        note = {"ids": [payout["id"]], "note": "The cash book says that it was paid."}
        await kyiv.post("finance", "payments", "/unproven:clear", note)
        await pay(kyiv, paid)
        # Whoever was erased stays so, with the record that was found to be theirs since.
        for person in (erased, same):
            await kyiv.get("caseworker", "intake", f"/persons/{person}", status=410)
        # What was used in ways nobody can prove is let go once people know better.
        [order] = [
            each
            for each in (await kyiv.get("finance", "payments", "/purchases"))["purchases"]
            if each["supplier"] == "restore"
        ]
        await kyiv.post("finance", "payments", f"/purchases/{order['id']}:cancel")
        await _replayed(mesh)
        settled = await asyncio.to_thread(mesh.aidmesh, "verify", "--wait", "90")
        assert settled.returncode == 0, settled.stdout + settled.stderr
        mine = await _allotment(mesh, "kyiv", own["allotment_id"])
        assert _free(mine) == 1_000_000 - CASH_MINOR
        await kyiv.close()
        await lviv.close()
    finally:
        await asyncio.to_thread(mesh.stop)


async def _replayed(mesh: RunningMesh) -> None:
    """An event that a service has forgotten is handed to it again; what it knows is not."""
    why = ("--reason", "the inbox lost it", "--by", "drill", "--json")
    asked = ("replay", "lviv", "payments-world", *why)
    told = await _row(mesh, "kyiv", TOLD, None)
    assert told is not None
    forgotten = told["event_id"]
    conn = await asyncpg.connect(mesh.file.regions["lviv"].admin_dsn("payments"))

    async def forget() -> bool:
        done = await conn.execute("DELETE FROM inbox WHERE event_id = $1", forgotten)
        return done == "DELETE 1"  # it may be on its way still

    try:
        await eventually(forget, WAIT_S)
        planned = await asyncio.to_thread(mesh.aidmesh, *asked)
        found = json.loads(planned.stdout)
        assert found["known"] > 0
        assert [each["event_id"] for each in found["missing"]] == [str(forgotten)]
        assert await conn.fetchval("SELECT count(*) FROM dead_letter") == 0
        done = await asyncio.to_thread(mesh.aidmesh, *asked, "--apply")
        assert json.loads(done.stdout)["handed_over"] == 1, done.stdout + done.stderr

        async def taken_in() -> bool:
            query = "SELECT status, decided_by, note FROM dead_letter WHERE event_id = $1"
            row = await conn.fetchrow(query, forgotten)
            assert row is not None
            assert tuple(row) == ("done", "drill", "the inbox lost it")
            return True

        await eventually(taken_in, WAIT_S)
    finally:
        await conn.close()


async def cash(staff: Staff, area: str) -> UUID:
    """A need of cash whose money is set aside."""
    payee = {"mechanism": "cash", "legal_name": "Anna Testova"}
    need = await staff.ask("financial_aid", place_area=area, payee=payee)
    await staff.becomes(need, "ready", deadline_s=WAIT_S)
    return need


async def pay(staff: Staff, need: UUID) -> None:
    """It is paid, with a second person's word."""
    row: Json = {"row_id": f"pay-{need}", "need_id": str(need)}
    for role, verb, fields in (
        ("approver", "approve", {}),
        ("finance", "settle", {"bank_reference": "B-1", "served_on": str(TODAY)}),
    ):
        body = {"source": verb, "rows": [{**row, **fields}]}
        done = await staff.post(role, "payments", f"/payouts:{verb}", body)
        assert [each["status"] for each in done["rows"]] == ["done"], done
    await staff.becomes(need, "fulfilled", deadline_s=WAIT_S)


async def _shipment(kyiv: Staff, lviv: Staff) -> str:
    """A shipment that is being prepared."""
    await kyiv.item("blanket")
    await lviv.item("blanket")
    site, to_site = await kyiv.site("store"), await lviv.site("store")
    got = await kyiv.receive(site, "blanket", 9)
    lines = [{"lot_id": got["lot_ids"][0], "quantity": 4}]
    body = {"to_region": "lviv", "to_site_id": str(to_site), "lines": lines}
    answer: str = (await kyiv.post("logistician", "inventory", "/shipments", body))["shipment_id"]
    return answer


async def _send(kyiv: Staff, lviv: Staff, shipment: str) -> None:
    """It leaves, arrives and is counted."""
    path = f"/shipments/{shipment}"
    left = await kyiv.post("logistician", "inventory", f"{path}:dispatch")

    async def there() -> bool:
        answer = await lviv.get("logistician", "inventory", path)
        assert answer["state"] == "dispatched"
        return True

    await eventually(there, WAIT_S)
    lines = [{"line_id": left["lines"][0]["line_id"], "good": 4}]
    await lviv.post("logistician", "inventory", f"{path}:count", {"lines": lines})


async def _person(staff: Staff) -> str:
    need = await staff.ask("food_parcel", place_area="UA8023")
    answer: str = (await staff.need(need))["person_id"]
    return answer


async def _merge(staff: Staff, person: str, into: str) -> None:
    """Two members of staff find that two records are one person."""
    body = {"into_person_id": into}
    merge = await staff.post("caseworker", "intake", f"/persons/{person}:merge", body)
    await staff.post("lead", "intake", f"/merges/{merge['merge_id']}:confirm")


async def back_up(mesh: RunningMesh, folder: Path) -> Path:
    """Make keys of backups, and a backup of Kyiv, which goes on."""
    made = await asyncio.to_thread(mesh.command, "keys", "backup", "--out", str(folder / "far"))
    assert made.returncode == 0, made.stderr
    out = folder / "kyiv.backup"
    taken = await asyncio.to_thread(
        mesh.aidmesh, "backup", "kyiv", "--to", str(folder / "far" / "backup.pub"),
        "--out", str(out),
    )  # fmt: skip
    assert taken.returncode == 0, taken.stdout + taken.stderr
    return out


async def restore(mesh: RunningMesh, folder: Path, backup: Path) -> Json:
    """Restore Kyiv in its folder, where nothing runs; what was done."""
    done = await asyncio.to_thread(
        mesh.aidmesh, "restore", "kyiv", "--backup", str(backup), "--json",
        "--key", str(folder / "far" / "backup.key"), "--keys", str(mesh.data.parent / "keys"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: Json = json.loads(done.stdout)
    return outcome


async def _grants(staff: Staff) -> list[Json]:
    found: list[Json] = (await staff.get("finance", "payments", "/grants/summary"))["grants"]
    return found


async def _allotment(mesh: RunningMesh, region: str, allotment_id: str) -> Json:
    row = await _row(mesh, region, "SELECT * FROM allotment WHERE id = $1", allotment_id)
    assert row is not None
    return {key: row[key] for key in row if key not in ("version", "told_version")}


async def _heard(mesh: RunningMesh, allotment_id: str, figures: Json) -> bool:
    """Whether Lviv knows how an allotment of Kyiv stands."""
    query = "SELECT * FROM allotment_elsewhere WHERE allotment_id = $1"
    row = await _row(mesh, "lviv", query, allotment_id)
    assert row is not None
    assert {key: row[key] for key in figures} == figures
    return True


async def _row(mesh: RunningMesh, region: str, query: str, key: str | None) -> Json | None:
    conn = await asyncpg.connect(mesh.file.regions[region].admin_dsn("payments"))
    try:
        row = await conn.fetchrow(query, *([] if key is None else [UUID(key)]))
    finally:
        await conn.close()
    return None if row is None else dict(row)


def _used(allotment: Json) -> Json:
    return {key: allotment[key] for key in ("held_minor", "committed_minor", "spent_minor")}


def _free(allotment: Json) -> int:
    left: int = allotment["received_minor"] - allotment["returned_minor"]
    return left - sum(_used(allotment).values())
