"""A mesh that is broken in every way keeps its promises; if it did not, the harness would say."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

from aidmesh.chaos.plan import Kind, plan_of
from aidmesh.chaos.report import Report
from aidmesh.chaos.run import REGIONS, SERVICES, Played, playing
from aidmesh.quiet import probing

SECONDS = 40.0
SEED = 135848
"""A plan in which every kind of fault comes up well before the crash, each where nothing else is
broken that it needs: so none is missed, however slowly all starts again."""
DONE = {
    "ask", "issue", "receive", "look_for", "approve", "settle",
    "ask_goods", "accept_goods", "ship", "dispatch", "count", "move",
    "refer", "take_referral", "settle_order",
    "allot", "raise", "instalment", "return", "recall",
    "propose_move", "sign_move", "prepare_move",
}  # fmt: skip
"""What everybody begins with, so that any run comes to it; the rest is up to chance."""


MORE_SECONDS, MORE_MAX = 10.0, 12
"""Of load without faults, for a machine so slow that not all came up among them."""


def broken(report: Report) -> set[str]:
    return {each.promise for each in report.violations}


async def test_what_is_broken_is_whole_again_and_what_is_amiss_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    async with playing(tmp_path / "data", SECONDS, SEED, say=said.append) as played:
        await _until_all_is_done(played)
        report = await played.report()
        assert report.violations == (), said
        _as_planned(report, tmp_path / "report.json")
        await _tamper(played)
        tampered = await played.report(rest_s_max=0.0)
    assert broken(tampered) >= {
        "accepted is present",
        "stock is what came less what went",
        "no message is sent twice, none without a visible state",
        "read copies equal the owners'",
        "allotments and ledgers are conserved to the cent",
        "every need is in a right state",
    }
    copies = {each.what.partition(" of ")[0] for each in tampered.violations
              if each.promise == "read copies equal the owners'"}  # fmt: skip
    assert copies >= {"free stock", "places to refer to", "sites to refer to", "grants"}
    _each_is_told(tampered)
    told_twice = next(each for each in tampered.violations if "left 2 times" in each.what)
    types = [event["type"] for event in told_twice.events]
    assert types.index("intake.need.approved.v1") < types.index("notification.message.sent.v1")


def _each_is_told(report: Report) -> None:
    """Each violation has its events, or says why there are none; each promise has some of them."""
    assert [each for each in report.violations if not (each.events or each.note)] == []
    with_events = {each.promise for each in report.violations if each.events}
    verified = {each for each in broken(report) if each.startswith("aidmesh verify")}
    assert broken(report) - verified <= with_events
    assert verified & with_events


async def _until_all_is_done(played: Played) -> None:
    for _ in range(MORE_MAX):
        if {op.what for op in played.crowd.book.accepted()} >= DONE:
            break
        await played.crowd.work(MORE_SECONDS)


def _as_planned(report: Report, file: Path) -> None:
    plan = plan_of(SEED, REGIONS, SERVICES, SECONDS)
    assert [each.fault for each in report.faults] == list(plan)
    injected = [each for each in report.faults if each.missed is None]
    assert {each.fault.kind for each in injected} == set(Kind)
    assert all(each.recovered_s is not None for each in injected)
    report.write(file)
    written = json.loads(file.read_text(encoding="utf-8"))
    assert (written["violations"], len(written["faults"])) == ([], len(plan))
    assert written["recovery_s"]["max"] >= written["recovery_s"]["p50"] > 0
    assert written["operations"]["by_kind"].keys() >= DONE, written["operations"]
    assert written["operations"]["looks_at_grants"] > 0
    assert written["operations"]["unanswered"] == 0


def test_the_plan_of_that_run_has_every_kind_of_fault_before_the_crash() -> None:
    kinds = [fault.kind for fault in plan_of(SEED, REGIONS, SERVICES, SECONDS)]
    crash = kinds.index(Kind.CRASH)
    assert {*kinds[: crash + 1]} == set(Kind)


TAMPERED = (
    ("inventory", "UPDATE lot SET on_hand = on_hand + 1"),
    ("inventory", "UPDATE world_stock SET free = free + 1"),
    ("intake", "UPDATE place_elsewhere SET free_by_day[1] = free_by_day[1] + 1"),
    ("intake", "UPDATE site_elsewhere SET status = 'closed'"),
    ("payments", ("UPDATE grant_terms t SET terms_version = terms_version + 1 "  # others' alone
     "WHERE NOT EXISTS (SELECT FROM donor_grant g WHERE g.id = t.grant_id)")),
    ("payments", "UPDATE allotment SET spent_minor = spent_minor - 1 WHERE spent_minor > 0"),
    ("payments", "UPDATE instalment SET received_minor = received_minor + 1"),
    ("payments", "UPDATE payout SET bank_reference = 'another' WHERE state = 'settled'"),
    ("intake", "UPDATE need SET state = 'cancelled', served_on = NULL WHERE state = 'fulfilled'"),
)  # fmt: skip
"""Behind the services' backs: a piece, copies, cents, a reference, a need."""


async def _tamper(played: Played) -> None:
    async with probing(played.mesh.file) as probes:
        for service, sql in TAMPERED:
            done = [await probe.connections[service].execute(sql) for probe in probes]
            assert any(not each.endswith(" 0") for each in done), sql
    await asyncio.to_thread(_send_again, played.spool)


def _send_again(spool: Path) -> None:
    line = spool.read_text(encoding="utf-8").splitlines()[0]
    nobody_s = json.dumps({"message_id": str(uuid4())})
    with spool.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n{nobody_s}\n")
