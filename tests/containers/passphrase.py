"""A passphrase on the keys of a region of containers, as docs/containers.md has it typed."""

import asyncio
from typing import Final

import httpx

from aidmesh.commands.lock import KEEPERS
from containers.desk import PatientStaff
from containers.engine import Failed, Project
from containers.lean import READY_S_MAX, Proof
from support.waiting import eventually

PASSPHRASE: Final = "canary of the passphrase"
COVERED: Final = (
    ("intake", "master"),
    ("inventory", "master"),
    ("payments", "payments"),
    ("notification", "notification"),
)
"""Whose file of which key shows that the one with a passphrase was handed out."""


async def passphrase_works(proof: Proof, project: Project, staff: PatientStaff) -> None:
    """Keys get a passphrase, services start locked, and are unlocked and locked again.

    The passphrase stays on the keys, so whatever comes after has to unlock. Raises Failed, or
    AssertionError with what does not hold.
    """
    await _typed(project, "keys", "protect", given=PASSPHRASE)
    await eventually(lambda: asyncio.to_thread(_handed, project), READY_S_MAX)
    await asyncio.to_thread(project.compose, "restart", *KEEPERS)
    await asyncio.to_thread(project.up)
    await _are(staff, locked=True)
    find = {"client_code": "canary-code-nobody"}
    await staff.call("caseworker", "POST", "intake", "/persons:find", find, status=423)

    try:
        await _typed(project, "unlock", given=f"not the {PASSPHRASE}")
    except Failed as error:
        if "does not open the keys" not in str(error):
            raise
    else:
        raise Failed("another passphrase unlocked the region")
    await _are(staff, locked=True)
    await _typed(project, "unlock", given=PASSPHRASE)
    await _are(staff, locked=False)
    await staff.ask_for("hygiene_kit")

    await _typed(project, "lock")
    await _are(staff, locked=True)
    await staff.call("caseworker", "POST", "intake", "/persons:find", find, status=423)
    await _typed(project, "unlock", given=PASSPHRASE)
    await _typed(project, "keys", "rotate", given=PASSPHRASE)
    await _are(staff, locked=False)
    if PASSPHRASE in await asyncio.to_thread(project.log):
        raise Failed("a log shows the passphrase")
    proof.found(
        "passphrase",
        True,
        "keys got a passphrase: services started locked, were unlocked, locked and unlocked, and "
        "loaded the keys that keys rotate made",
    )


async def _typed(project: Project, *words: str, given: str | None = None) -> None:
    line = None if given is None else f"{given}\n"
    await asyncio.to_thread(lambda: project.aidmesh(*words, given=line))


def _handed(project: Project) -> bool:
    """Whether each service has the file that has a passphrase now."""
    return all(
        project.run_in(
            service,
            "sh",
            "-c",
            f"head -c 13 /aidmesh/secrets/{key}.key | grep -ac aidmesh-key-1 || true",
        ).strip()
        == "1"
        for service, key in COVERED
    )


async def _are(staff: PatientStaff, *, locked: bool) -> None:
    """Wait until all say so: that each lacks a key, or that none does."""

    async def all_are() -> bool:
        return {bool(await _lacks(client, staff.url(name))) for name in KEEPERS} == {locked}

    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        await eventually(all_are, READY_S_MAX)


async def _lacks(client: httpx.AsyncClient, url: str) -> list[str]:
    """Which keys a service runs without."""
    ready: dict[str, list[str]] = (await client.get(f"{url}/readyz")).json()
    return ready["missing_keys"]
