"""A region on several machines, looked at from another one that has nothing but the folder."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from aidmesh import describing
from aidmesh.__main__ import build
from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED
from aidmesh.credentials import create_keys
from aidmesh.embedded.binaries import nats_server
from aidmesh.embedded.ports import free_ports
from aidmesh.meshfile import SERVICES, WITH_DATABASE
from aidmesh.topology import cluster as clusters
from aidmesh.topology.cluster import ANY_HOST, Cluster, lay_out, warden_of
from support.servers import DatabaseFactory
from support.waiting import eventually

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3") if sys.platform == "linux" else ("localhost",)
"""As if each were a machine of its own: the ports are the same on all."""

AT = Path("/on/its/machine")


@dataclass(slots=True)
class Far:
    """The region, how it was told of, and how an operator asks about it."""

    cluster: Cluster
    servers: list[subprocess.Popen[bytes]]
    dsns: dict[str, str]
    folder: Path
    capsys: pytest.CaptureFixture[str]

    async def typed(self, *words: str, data: bool = True) -> tuple[int, str]:
        """The exit code of a command on the other machine, and what it said."""

        def run() -> int:
            with pytest.raises(SystemExit) as ended:
                build()([*words, *(("--data", str(self.folder)) if data else ())])
            return int(ended.value.code or 0)

        self.capsys.readouterr()
        code = await asyncio.to_thread(run)
        out, err = self.capsys.readouterr()
        return code, out or err


@pytest.fixture
async def far(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Far]:  # fmt: skip
    create_keys(tmp_path / "keys" / "kyiv")
    names = ("CLIENT_PORT", "MONITOR_PORT", "LEAF_PORT", "ROUTE_PORT")
    for name, port in zip(names, free_ports(len(names)), strict=True):
        monkeypatch.setattr(clusters, name, port)
        if name != "ROUTE_PORT":
            monkeypatch.setattr(describing, name, port)
    cluster = Cluster("kyiv", tmp_path / "keys" / "kyiv", HOSTS, {}, AT)
    servers: list[subprocess.Popen[bytes]] = []
    dsns = {service: await database(service) for service in WITH_DATABASE}
    for host, folder in zip(HOSTS, lay_out(cluster, tmp_path / "handed"), strict=True):
        config = folder / "nats.conf"
        text = config.read_text().replace(str(AT), str(folder)).replace(ANY_HOST, host)
        config.write_text(text)
        servers.append(started(config))
    warden = warden_of(cluster, list(dsns.values()), 1)
    keeping = asyncio.create_task(warden.run())
    try:
        await eventually(lambda: warden.gate.is_open, 90)
        for service, dsn in dsns.items():
            monkeypatch.setenv(f"AIDMESH_{service.upper()}_DATABASE_URL", dsn)
        yield Far(cluster, servers, dsns, tmp_path / "elsewhere", capsys)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        for server in servers:
            server.kill()
            server.wait(120)


def started(config: Path) -> subprocess.Popen[bytes]:
    """A server, as somebody starts it on its machine."""
    words = [str(nats_server()), "-c", str(config)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def letter_in(dsn: str) -> str:
    """Have a message wait for a person; its event's id."""
    event_id = uuid4()
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(
            """
            INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
            VALUES ('payments-local', $1, 'local.kyiv.intake.need.ready.v1', '{}', '{}', 'dead',
                    'bug')
            """,
            event_id,
        )
    finally:
        await conn.close()
    return str(event_id)


async def test_whoever_has_the_folder_sees_and_mends_a_region_on_several_machines(
    far: Far, tmp_path: Path
) -> None:
    silent = free_ports(1)[0]
    told = (
        "topology", "render", "--keys", str(tmp_path / "keys"), "--region", "kyiv",
        "--hosts", ",".join(HOSTS), "--to", str(tmp_path / "again"), "--at", str(AT),
    )  # fmt: skip
    there = tmp_path / "there"
    services = [f"--service={each}=localhost:{silent}" for each in SERVICES]
    code, out = await far.typed(*told, *services, "--data", str(there), "--json", data=False)
    assert code == 0, out
    assert json.loads(out)["mesh"] == str(there / "mesh.json")
    shutil.copytree(there, far.folder)
    shutil.rmtree(there)

    code, out = await far.typed("status", "--json")
    assert code == EXIT_FAILED, "no service answers"
    (kyiv,) = json.loads(out)["regions"]
    assert (kyiv["nats"], kyiv["postgres"]) == (True, True)
    assert kyiv["nats_servers"] == (["ready"] * 3 if len(HOSTS) > 1 else [])
    assert {each["service"]: (each["state"], each["untaken"]) for each in kyiv["services"]} == {
        **dict.fromkeys(WITH_DATABASE, ("away", 0)), "console": ("away", None),
    }  # fmt: skip
    code, out = await far.typed("topology", "check", "--json")
    assert (code, json.loads(out)) == (0, {"kyiv": {"differences": [], "lost": {}}})

    code, out = await far.typed("doctor", "--json")
    found = json.loads(out)
    assert not [each for each in found if "can't be looked at" in each["what"]], found
    assert {each["what"] for each in found if each["where"] == "kyiv postgres"} >= {"fsync is off"}
    assert not [each for each in found if each["where"].startswith("kyiv nats")]
    assert not [each for each in found if each["where"] in {"mesh", "kyiv"}]

    code, out = await far.typed("verify", "--json")
    assert code == 0, out
    code, out = await far.typed("rebuild", "kyiv", "--from-stream", "--json")
    assert (code, json.loads(out)) == (0, {"region": "kyiv", "events": 0, "from_stream": True})

    code, out = await far.typed("dead", "list", "--json")
    assert (code, json.loads(out)) == (0, [])
    event_id = await letter_in(far.dsns["payments"])
    code, out = await far.typed("dead", "list", "--json")
    assert (code, [each["letter"] for each in json.loads(out)]) == (1, ["kyiv/payments/1"])
    code, out = await far.typed("trace", event_id)
    assert code == EXIT_FAILED
    assert "aidmesh dead show kyiv/payments/1" in out
    why = ("--reason", "nobody waits for it", "--by", "olena")
    assert (await far.typed("dead", "drop", "kyiv/payments/1", *why))[0] == 0

    pair = tmp_path / "pair"
    assert (await far.typed("keys", "backup", "--out", str(pair), data=False))[0] == 0
    sealed = ("--to", str(pair / "backup.pub"), "--out", str(tmp_path / "kyiv.backup"))
    code, out = await far.typed("backup", "kyiv", *sealed, "--json")
    assert (code, json.loads(out)["region"]) == (0, "kyiv"), out

    far.servers[0].kill()
    far.servers[0].wait(120)
    if len(HOSTS) == 1:
        return

    async def goes_on() -> bool:
        code, out = await far.typed("status", "--json")
        (kyiv,) = json.loads(out)["regions"]
        assert (kyiv["nats"], kyiv["nats_servers"]) == (True, ["away", "ready", "ready"]), out
        code, out = await far.typed("verify", "--json")
        return code == 0

    await eventually(goes_on, 60)

    before = (far.folder / "mesh.json").read_bytes()
    code, out = await far.typed(
        "restore", "kyiv", "--backup", str(tmp_path / "kyiv.backup"), "--key",
        str(pair / "backup.key"), "--keys", str(tmp_path / "keys"), "--erasures", "/dev/null",
    )  # fmt: skip
    assert (code, "machines of their own" in out) == (EXIT_REFUSED, True), out
    assert (far.folder / "mesh.json").read_bytes() == before
