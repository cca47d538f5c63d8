"""`make containers`: proves on a real engine what docs/containers.md says of compose.yaml.

It builds the images, brings up a region from nothing and works through its published ports and at
its desk, kills each container in turn while somebody is being helped, replaces all images under
load, takes everything down and up again, links a second region, whose version is in `.env` alone,
and sends money there, restores the first from a backup after all its volumes are gone, verifies
both, has the second retire, and puts a passphrase on the keys of the first. It uses projects,
ports, networks and image tags of its own and leaves none of them behind. Exit code 0 when all of it
holds, 1 when not, 3 when there is no engine.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx

TREE: Final = Path(__file__).parents[2]
sys.path.insert(0, str(TREE / "tests"))

from aidmesh.embedded.ports import free_ports  # noqa: E402
from aidmesh.meshfile import SERVICES  # noqa: E402
from containers.desk import (  # noqa: E402
    CANARIES,
    LOGIN,
    PASSWORD,
    PatientStaff,
    arrives,
    at_the_desk,
    parcel,
)
from containers.drill import drill  # noqa: E402
from containers.engine import Failed, Project, docker, engine  # noqa: E402
from containers.lean import READY_S_MAX, Proof, sizes, starts_fast  # noqa: E402
from containers.passphrase import passphrase_works  # noqa: E402
from support.funding import fund  # noqa: E402
from support.visitor import Visitor  # noqa: E402

FIRST, SECOND = "aidmesh-proof", "aidmesh-proof-second"
VERSIONS: Final = ("proof-1", "proof-2")
PARTS: Final = ("postgres", "nats", "supervisor", *SERVICES)
AT_ONCE: Final = 4
PAUSE_S: Final = 0.05
MAIL_PASSWORD: Final = "aidmesh_notification_smtp_password"
AMOUNT_MINOR: Final = 1_234_500
ELSEWHERE: Final = "elsewhere"
"""Where the operator keeps what must not be lost with the region."""
NO_ENGINE: Final = 3


def ports_of(region_ports: tuple[int, ...]) -> dict[str, str]:
    """Where a project's ports are published."""
    names = (*(name.upper() for name in SERVICES), "LINKS")
    return {
        f"AIDMESH_PORT_{name}": str(port) for name, port in zip(names, region_ports, strict=True)
    }


def staff_of(project: Project, region: str, folder: Path) -> PatientStaff:
    """Staff of a region, signed in by its own key, at the published ports."""
    keys = folder / project.name
    project.compose("cp", f"supervisor:/aidmesh/keys/{region}", str(keys))
    urls = {
        name: f"http://127.0.0.1:{project.environment[f'AIDMESH_PORT_{name.upper()}']}"
        for name in SERVICES
    }
    return PatientStaff(region, keys, urls)


def count(project: Project, database: str, table: str) -> int:
    """How many rows a table has."""
    return int(project.value(database, f"SELECT count(*) FROM {table}"))  # noqa: S608 - one of ours


def commands_work(proof: Proof, project: Project) -> None:
    """What on-call staff type, in the supervisor's container."""
    for words in (("status",), ("topology", "check"), ("dead", "list"), ("doctor",)):
        well(project, *words)
    roles = "caseworker,logistician"
    project.aidmesh("staff", "add", LOGIN, "--roles", roles, given=f"{PASSWORD}\n")
    project.aidmesh("keys", "rotate")
    well(project, "status")
    proof.say("ok  status, topology check, dead list, doctor, staff add and keys rotate, inside")


def handed_alone(proof: Proof, project: Project, region: str) -> None:
    """What the operator puts beside the keys is a file of the service that it is for, alone."""
    secret = "of the mail server"
    write = f"umask 077; cat > /aidmesh/keys/{region}/{MAIL_PASSWORD}"
    project.run_in("supervisor", "sh", "-c", write, given=f"{secret}\n")
    end = time.monotonic() + READY_S_MAX
    while MAIL_PASSWORD not in project.run_in("notification", "ls", "/aidmesh/secrets"):
        if time.monotonic() > end:
            raise Failed("notification was not handed the mail server's password")
        time.sleep(PAUSE_S)
    for name in SERVICES:
        handed = project.run_in(name, "ls", "/aidmesh/secrets").split()
        assert (MAIL_PASSWORD in handed) == (name == "notification"), name
        environment = docker("inspect", "--format", "{{json .Config.Env}}", project.container(name))
        assert secret not in environment
        assert not any(f"{word}=" in environment for word in ("PASSWORD", "SECRET", "DATABASE_URL"))
    proof.say("ok  the mail server's password is handed to notification alone, as a file")


def well(project: Project, *words: str) -> None:
    """Wait until a command finds nothing that a person should see to. Raises Failed."""
    end = time.monotonic() + READY_S_MAX
    while True:
        try:
            project.aidmesh(*words)
        except Failed:
            if time.monotonic() > end:
                raise
        else:
            return


async def desk(proof: Proof, project: Project, staff: PatientStaff, when: str) -> None:
    """Whoever was added as staff works at the published desk. `when` is for the line."""
    async with visitor_of(project) as visitor:
        await visitor.sign_in(LOGIN, PASSWORD)
        await at_the_desk(staff, visitor)
    proof.found(
        f"desk_{when.replace(' ', '_')}",
        True,
        f"at the desk, {when}: signed in, somebody registered, and a hygiene kit handed over",
    )


def visitor_of(project: Project) -> Visitor:
    """Somebody before a project's desk, at its published port."""
    return Visitor(f"http://127.0.0.1:{project.environment['AIDMESH_PORT_CONSOLE']}")


async def kills(proof: Proof, project: Project, staff: PatientStaff) -> None:
    """Each container is killed while somebody is being helped, who gets it all the same."""
    for part in PARTS:
        killed, at_work = asyncio.Event(), asyncio.Event()
        helping = asyncio.create_task(parcel(staff, killed, at_work))
        reached = asyncio.create_task(at_work.wait())
        await asyncio.wait({reached, helping}, return_when=asyncio.FIRST_COMPLETED)
        if helping.done():
            helping.result()  # raises what went wrong
        before = await asyncio.to_thread(project.started_at, part)
        how = await asyncio.to_thread(project.crash, part)
        began = time.monotonic()
        killed.set()
        await helping
        seconds = time.monotonic() - began
        while await asyncio.to_thread(project.started_at, part) == before:
            if time.monotonic() - began > READY_S_MAX:
                raise Failed(f"{part} was not started again")
            await asyncio.sleep(PAUSE_S)
        proof.found(
            f"killed_{part}_s",
            round(seconds, 1),
            f"{part} killed ({how}): a parcel was set aside, given, undone and given "
            f"within {seconds:.1f} s",
        )
        await asyncio.to_thread(project.up)  # all are healthy again before the next


async def upgrade(
    proof: Proof, project: Project, staff: PatientStaff, how: str, replace: Callable[[], object]
) -> None:
    """All images are replaced while people are registered; nobody is lost, nobody comes twice.

    Args:
        proof: gets the figures.
        project: whose version was changed.
        staff: who registers people.
        how: for the figures.
        replace: does it; blocking.
    """
    before = count(project, "intake", "need")
    over = asyncio.Event()
    made: list[UUID] = []
    staff.resent, staff.longest_s = 0, 0.0

    async def register() -> None:
        while not over.is_set():
            made.append(await staff.ask_for("food_parcel"))
            await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as work:
        for _ in range(AT_ONCE):
            work.create_task(register())
        began = time.monotonic()
        await asyncio.to_thread(replace)
        seconds = time.monotonic() - began
        over.set()
    rows = count(project, "intake", "need") - before
    if not rows == len(made) == len(set(made)):
        raise Failed(f"{len(made)} were registered, {len(set(made))} of them once, {rows} are kept")
    runs(project, project.environment["AIDMESH_VERSION"])
    proof.found(
        f"upgrade_{how}_registered",
        len(made),
        f"other images run after {seconds:.1f} s ({how}); {len(made)} people were registered "
        f"meanwhile, each once; {staff.resent} calls were sent again, the longest took "
        f"{staff.longest_s:.1f} s",
    )
    proof.figures |= {
        f"upgrade_{how}_s": round(seconds, 1),
        f"upgrade_{how}_resent": staff.resent,
        f"upgrade_{how}_longest_s": round(staff.longest_s, 1),
    }


def runs(project: Project, version: str) -> None:
    """Raises Failed unless all containers are of this version."""
    for name in ("supervisor", *SERVICES):
        image = docker("inspect", "--format", "{{.Config.Image}}", project.container(name)).strip()
        if not image.endswith(f":{version}"):
            raise Failed(f"{project.name} runs {image}, not {version}")


def second_up(proof: Proof, project: Project, dotenv: Path) -> None:
    """A second region comes up, and is upgraded, by a version that is in `.env` alone."""
    dotenv.write_text(f"AIDMESH_VERSION={VERSIONS[0]}\n", encoding="utf-8")
    seconds = project.up()
    runs(project, VERSIONS[0])
    proof.found("second_up_s", round(seconds, 1), f"a second region, after {seconds:.1f} s")
    dotenv.write_text(f"AIDMESH_VERSION={VERSIONS[1]}\n", encoding="utf-8")
    project.upgrade()
    runs(project, VERSIONS[1])
    proof.say("ok  the second region takes its version from .env, also when it is upgraded")


def down_and_up(proof: Proof, project: Project) -> None:
    """Without their volumes nothing goes, with them nothing is lost."""
    tables = [("intake", "need"), ("inventory", "lot"), ("payments", "outbox"), ("intake", "inbox")]
    before = [count(project, *each) for each in tables]
    project.down()
    seconds = project.up()
    after = [count(project, *each) for each in tables]
    if not all(now >= then > 0 for now, then in zip(after, before, strict=True)):
        raise Failed(f"rows before {before}, after {after}")
    proof.found("up_again_s", round(seconds, 1), f"down and up again in {seconds:.1f} s, all kept")


def verified(proof: Proof, name: str, project: Project) -> None:
    """Everything that was promised holds, and no log says who somebody is."""
    canaries = "value\n" + "".join(f"{each}\n" for each in CANARIES)
    project.run_in("supervisor", "sh", "-c", "cat > /tmp/canaries.csv", given=canaries)
    said = project.aidmesh("verify", "--canaries", "/tmp/canaries.csv", "--wait", "120")  # noqa: S108
    proof.found(f"{name}_verified", True, f"{name}: {said.splitlines()[-1]}")
    log = project.log()
    found = [each for each in CANARIES if each in log or json.dumps(each)[1:-1] in log]
    if found:
        raise Failed(f"the logs of {name} show personal data: {len(found)} of {len(CANARIES)}")
    read = subprocess.run(
        [sys.executable, "-m", "aidmesh", "logs", "-", "event=service.started"],
        input=log, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = len(log.splitlines())
    proof.found(
        f"{name}_log_lines",
        lines,
        f"{name}: {lines} lines of logs, no personal data; aidmesh logs reads them "
        f"({len(read.stdout.splitlines())} starts)",
    )


async def linked(
    proof: Proof, first: Project, second: Project, here: PatientStaff, there: PatientStaff
) -> None:
    """Money goes to the second region, by a link with TLS; also after each end was killed."""
    for killed in (None, first, second):
        if killed is not None:
            await asyncio.to_thread(killed.crash, "nats")
        began = time.monotonic()
        sent = await fund(here, AMOUNT_MINOR, to_region=there.region)
        await arrives(there, str(sent["allotment_id"]), AMOUNT_MINOR)
        seconds = time.monotonic() - began
        what = "" if killed is None else f", NATS of {killed.name} killed before"
        proof.found(
            f"allotment_s{'' if killed is None else f'_{killed.name}'}",
            round(seconds, 1),
            f"a grant and its money were in {there.region} after {seconds:.1f} s{what}",
        )
    for project in (first, second):
        await asyncio.to_thread(project.up)
        url = "http://127.0.0.1:8222/varz"
        leaf = json.loads(project.run_in("nats", "wget", "-q", "-O", "-", url))["leaf"]
        if not (leaf.get("tls_required") and leaf.get("tls_verify")):
            raise Failed(f"{project.name}: links need no certificate")
    proof.say("ok  links need TLS, and a certificate of whoever dials")


async def restored(
    proof: Proof,
    first: Project,
    second: Project,
    here: PatientStaff,
    there: PatientStaff,
    folder: Path,
) -> None:
    """The first region loses all it has, and comes back from a backup that is older."""
    backup_s, restored_s, size = await drill(first, second, here, there, folder)
    proof.figures |= {"backup_s": round(backup_s, 1), "backup_bytes": size}
    proof.found(
        "restored_s",
        round(restored_s, 1),
        f"a backup took {backup_s:.1f} s ({size / 1e6:.1f} MB); all volumes lost, it was restored "
        f"and up after {restored_s:.1f} s: nothing paid twice, no money free again, the peer right",
    )


async def retired(proof: Proof, first: Project, second: Project, there: PatientStaff) -> None:
    """The second region gives back the money it has, and ends."""
    page = await there.get("finance", "payments", f"/allotments?holder={there.region}")
    for each in page["allotments"]:
        used = sum(each[f"{what}_minor"] for what in ("returned", "held", "committed", "spent"))
        if free := each["received_minor"] - used:
            path = f"/allotments/{each['allotment_id']}:return"
            await there.post("finance", "payments", path, {"amount_minor": free})
    for project in (second, first):
        await asyncio.to_thread(well, project, "topology", "retire", there.region)
    proof.found("retired", True, f"{there.region} gave back what it had, and has retired")


async def prove(proof: Proof, folder: Path, *, build: bool) -> None:
    """Everything, one after the other. Raises Failed or AssertionError with what does not hold."""
    count_of = len(SERVICES) + 1
    ports = free_ports(2 * count_of)
    # Whatever .env of this folder names for a region that people work with is left alone.
    apart = {
        "AIDMESH_LINKS_NETWORK": f"{FIRST}-links",
        "AIDMESH_VOLUME_BACKUPS": "backups",
        "AIDMESH_VOLUME_ERASURES": "erasures",
    }
    common = {**apart, "AIDMESH_REGION": "kyiv", "AIDMESH_VERSION": VERSIONS[0]}
    first = Project(FIRST, {**common, **ports_of(ports[:count_of])})
    dotenv = folder / ".env"
    second = Project(
        SECOND,
        {**apart, "AIDMESH_FIRST_PROJECT": FIRST, **ports_of(ports[count_of:])},
        ("--env-file", str(dotenv), "--env-file", "deploy/containers/second.env"),
    )
    dotenv.touch()
    with ExitStack() as stack:
        stack.callback(_forget, first)
        stack.callback(_forget, second)
        if build:
            began = time.monotonic()
            first.build()
            proof.found("build_s", round(time.monotonic() - began), "the images are built")
            Project(FIRST, {**common, "AIDMESH_VERSION": VERSIONS[1]}).build()
        sizes(proof, VERSIONS[0])
        seconds = first.up()
        proof.found(
            "up_s", round(seconds, 1), f"a region is up, from nothing, after {seconds:.1f} s"
        )
        here = staff_of(first, "kyiv", folder)
        commands_work(proof, first)
        handed_alone(proof, first, "kyiv")
        calm = asyncio.Event()
        calm.set()
        began = time.monotonic()
        await parcel(here, calm, asyncio.Event())
        proof.found("parcel_s", round(time.monotonic() - began, 1), "a parcel, all the way")
        await desk(proof, first, here, "from nothing")
        await starts_fast(proof, first, here)
        await kills(proof, first, here)
        first.environment["AIDMESH_VERSION"] = VERSIONS[1]
        async with visitor_of(first) as visitor:
            await visitor.sign_in(LOGIN, PASSWORD)
            await upgrade(proof, first, here, "one_by_one", first.upgrade)
            await visitor.page("/needs")  # whoever was signed in goes on
        await desk(proof, first, here, "after an upgrade")
        first.environment["AIDMESH_VERSION"] = VERSIONS[0]
        await upgrade(proof, first, here, "all_at_once", first.up)
        down_and_up(proof, first)
        second_up(proof, second, dotenv)
        there = staff_of(second, "lviv", folder)
        await linked(proof, first, second, here, there)
        await restored(proof, first, second, here, there, folder / ELSEWHERE)
        verified(proof, "first", first)
        verified(proof, "second", second)
        await retired(proof, first, second, there)
        await passphrase_works(proof, first, here)
        await asyncio.gather(here.close(), there.close())


def _forget(project: Project) -> None:
    try:
        project.down(forget=True)
    except (Failed, subprocess.TimeoutExpired) as error:
        print(f"NO  {project.name} could not be taken down: {error}", file=sys.stderr)


def main() -> int:
    """The command."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--no-build", action="store_true", help="use the images that are there")
    options.add_argument("--report", type=Path, help="write the figures there, as JSON")
    chosen = options.parse_args()
    version = engine()
    if version is None:
        print("There is no container engine here (docker version fails): nothing was proven.")
        return NO_ENGINE
    os.environ.pop("AIDMESH_VERSION", None)  # or it would say more than .env does
    failed = False
    proof = Proof({"engine": version})
    proof.say(f"engine {version}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / ELSEWHERE).mkdir()
            asyncio.run(prove(proof, Path(folder), build=not chosen.no_build))
    except* (Failed, AssertionError, httpx.HTTPError) as errors:
        failed = True
        print(f"NO  {_first(errors)}")
    finally:
        if chosen.report is not None:
            chosen.report.write_text(json.dumps(proof.figures, indent=1) + "\n", encoding="utf-8")
    if failed:
        return 1
    print("all of it holds")
    return 0


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
