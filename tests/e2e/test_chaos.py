"""A mesh that is broken in every way keeps its promises; if it did not, the harness would say."""

import asyncio
import json
from pathlib import Path

import pytest

from aidmesh.chaos.plan import Kind, plan_of
from aidmesh.chaos.report import Report
from aidmesh.chaos.run import REGIONS, SERVICES, Played, playing
from aidmesh.quiet import probing

SECONDS = 40.0
SEED = 31
"""A plan in which every kind of fault comes up."""
DONE = {"ask", "issue", "settle", "receive", "allot", "raise", "instalment", "ask_goods",
        "look_for"}  # fmt: skip
"""What so short a run is bound to do; rarer things may come to nothing in it."""


def broken(report: Report) -> set[str]:
    return {each.promise for each in report.violations}


@pytest.mark.timeout(600)
async def test_what_is_broken_is_whole_again_and_what_is_amiss_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    async with playing(tmp_path / "data", SECONDS, SEED, say=said.append) as played:
        report = await played.report()
        assert report.violations == (), said
        _as_planned(report, tmp_path / "report.json")
        await _tamper(played)
        tampered = await played.report(rest_s_max=0.0)
    assert broken(tampered) >= {
        "stock is what came less what went",
        "no message is sent twice, none without a visible state",
        "read copies equal the owners'",
        "allotments and ledgers are conserved to the cent",
        "every need is in a right state",
    }
    told_twice = next(each for each in tampered.violations if "left 2 times" in each.what)
    types = [event["type"] for event in told_twice.events]
    assert types.index("intake.need.approved.v1") < types.index("notification.message.sent.v1")


def _as_planned(report: Report, file: Path) -> None:
    plan = plan_of(SEED, REGIONS, SERVICES, SECONDS)
    assert [each.fault for each in report.faults] == list(plan)
    injected = [each for each in report.faults if each.missed is None]
    assert len(injected) * 2 > len(plan)
    assert all(each.recovered_s is not None for each in injected)
    report.write(file)
    written = json.loads(file.read_text(encoding="utf-8"))
    assert (written["violations"], len(written["faults"])) == ([], len(plan))
    assert written["recovery_s"]["max"] >= written["recovery_s"]["p50"] > 0
    assert written["operations"]["by_kind"].keys() >= DONE
    assert written["operations"]["unanswered"] == 0


def test_the_plan_of_that_run_has_every_kind_of_fault() -> None:
    assert {fault.kind for fault in plan_of(SEED, REGIONS, SERVICES, SECONDS)} == set(Kind)


TAMPERED = (
    ("inventory", "UPDATE lot SET on_hand = on_hand + 1"),
    ("inventory", "UPDATE world_stock SET free = free + 1"),
    ("payments", "UPDATE allotment SET spent_minor = spent_minor - 1 WHERE spent_minor > 0"),
    ("intake", "UPDATE need SET state = 'cancelled', served_on = NULL WHERE state = 'fulfilled'"),
)
"""Behind the services' backs: a piece, a copy, a cent, a need."""


async def _tamper(played: Played) -> None:
    async with probing(played.mesh.file) as probes:
        for service, sql in TAMPERED:
            done = [await probe.connections[service].execute(sql) for probe in probes]
            assert any(not each.endswith(" 0") for each in done), sql
    await asyncio.to_thread(_send_again, played.spool)


def _send_again(spool: Path) -> None:
    line = spool.read_text(encoding="utf-8").splitlines()[0]
    with spool.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
