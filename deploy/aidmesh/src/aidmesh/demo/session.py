"""One run of `aidmesh demo`: its folder, its mesh, the year, the result."""

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from aidmesh.credentials import create_keys
from aidmesh.demo.catalogue import load_kinds
from aidmesh.demo.csvfiles import read_rows
from aidmesh.demo.generator import generate
from aidmesh.demo.mark import MARK, is_demo, settings_of_a_demo
from aidmesh.demo.office import Office, RefusedError
from aidmesh.demo.results import Check, DemoResult, Scenario, Verified, collect, scenario_checks
from aidmesh.demo.run import Login, Played, make_staff, play_year
from aidmesh.demo.setting_up import lay_out_gifts
from aidmesh.demo.show import Bars, show, show_doors
from aidmesh.embedded.folder import FolderLock
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.meshfile import MeshError
from aidmesh.verification.run import verify

VERIFY_QUIET_S_MAX = 60.0


def prepare_folder(folder: Path, *, empty_it: bool) -> None:
    """Have an empty folder for a run.

    Args:
        empty_it: remove what an earlier run left; only what has our mark, and is not in use.

    Raises:
        MeshError: the folder holds something else.
        FolderInUseError: a mesh runs in it.
    """
    if folder.exists() and any(folder.iterdir()):
        if not is_demo(folder):
            raise MeshError(f"{folder} holds something that is no demo; name an empty --data")
        if not empty_it:
            raise MeshError(f"{folder} holds an earlier demo; name an empty folder, or remove it")
        lock = FolderLock(folder)
        lock.acquire()
        try:
            for path in folder.iterdir():
                if path.name not in (MARK, ".lock"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        finally:
            lock.release()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    (folder / MARK).write_text('{"made_by": "aidmesh demo"}\n', encoding="utf-8")


@dataclass(slots=True)
class Demo:
    """What a run is made of.

    Attributes:
        data: an empty folder with our mark.
        code: the exit code: 1 until the year was played and all that was promised holds.
        over: whether it ended by itself.
    """

    data: Path
    regions: tuple[str, ...]
    scale: float
    seed: int
    ports_from: int | None
    code: int = 1
    over: bool = False

    async def run(self, result_file: Path | None, *, leave: bool) -> None:
        """Play the year, and stay up until cancelled unless `leave`.

        Args:
            result_file: where to write the results as JSON.
            leave: stop when the year is over.
        """
        console = Console()
        console.print(f"Data folder: {self.data}", highlight=False, soft_wrap=True)
        kinds = load_kinds()
        keys = {region: self.data / "keys" / region for region in self.regions}
        for folder in keys.values():
            create_keys(folder)
        os.environ |= settings_of_a_demo(self.data)
        scenario = self.data / "scenario"
        drawn = asyncio.create_task(
            asyncio.to_thread(
                generate, scenario, kinds, seed=self.seed, scale=self.scale, regions=self.regions
            )
        )
        hired = asyncio.create_task(asyncio.to_thread(make_staff, keys))
        console.print(f"Starting {', '.join(self.regions)} …")
        async with running_mesh(
            self.data,
            self.regions,
            lambda region: keys[region],
            ports_from=self.ports_from,
            announce=console.print,
        ) as mesh:
            await drawn
            logins, staff = await hired
            offices = {
                name: Office(name, entry, staff[name]) for name, entry in mesh.file.regions.items()
            }
            try:
                bars = Bars(console, _expected(scenario).services)
                with bars.display:
                    played = await play_year(scenario, mesh.file, offices, kinds, bars)
                result = await self._judge(mesh, offices, played)
                if not leave:
                    for office in offices.values():
                        await lay_out_gifts(office)
            except RefusedError as error:
                console.print(f"[red]The year could not be played:[/] {error}", highlight=False)
                self.over = True
                return
            finally:
                for office in offices.values():
                    await office.close()
            show(console, result)
            if result_file is not None:
                _write(result_file, result)
            self.code = 0 if result.verify.ok else 1
            if not leave:
                self._open_doors(console, result, logins, offices)
                await asyncio.Event().wait()
        self.over = True

    async def _judge(self, mesh: Mesh, offices: dict[str, Office], played: Played) -> DemoResult:
        scenario = self.data / "scenario"
        canaries = [row["value"] for row in read_rows(scenario / "canaries.csv")]
        verification = await verify(
            self.data, mesh.file, quiet_s_max=VERIFY_QUIET_S_MAX, canaries=canaries
        )
        checks = [Check(name=c.name, ok=c.ok, detail=c.detail) for c in verification.checks]
        settled = verification.unsettled or "nothing is on its way"
        checks.append(Check(name="settled", ok=verification.settled, detail=settled))
        left = ", ".join(played.left[:5]) or "everything planned was done"
        checks.append(Check(name="scenario.played_to_the_end", ok=not played.left, detail=left))
        result = await collect(
            mesh.file,
            offices,
            scale=self.scale,
            seed=self.seed,
            seconds=played.seconds,
            needs=played.needs,
            verified=Verified(ok=False, checks=checks),
        )
        checks += scenario_checks(result, _expected(scenario))
        verified = Verified(ok=all(check.ok for check in checks), checks=checks)
        return result.model_copy(update={"verify": verified})

    def _open_doors(
        self,
        console: Console,
        result: DemoResult,
        logins: list[Login],
        offices: dict[str, Office],
    ) -> None:
        path = self.data / "tokens.json"
        tokens = {
            name: {role.value: token for role, token in office.tokens.items()}
            for name, office in offices.items()
        }
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(tokens, file, indent=2)
        show_doors(console, result, logins, tokens[self.regions[0]], str(path))


def _expected(scenario: Path) -> Scenario:
    return Scenario.model_validate_json((scenario / "expected.json").read_bytes())


def _write(path: Path, result: DemoResult) -> None:
    path.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
