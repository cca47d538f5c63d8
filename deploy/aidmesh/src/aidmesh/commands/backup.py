"""`aidmesh backup` and `aidmesh restore`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED, names, refuse, report, run, say, warn

if TYPE_CHECKING:
    from aidmesh_chassis.crypto import PrivateKey, PublicKey

KEY_BYTES_MAX = 1024


def keys(*, out: Path, json: bool = False) -> None:
    """Make the key pair that backups are sealed to and opened with.

    backup.pub goes to the machine that takes backups, and can't open any. backup.key opens all of
    them: keep it, and a copy, where neither the data nor the backups are.

    Args:
        out: folder to write both to; made when missing, and nothing in it is overwritten.
        json: where both are.
    """
    from aidmesh.backup.pair import PUBLIC, SECRET, public_file, secret_file  # noqa: PLC0415
    from aidmesh_chassis.crypto import PrivateKey  # noqa: PLC0415
    from aidmesh_chassis.key_files import write_new  # noqa: PLC0415

    folder = out.expanduser().resolve()
    pair = PrivateKey.random()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(folder / SECRET, secret_file(pair))
        write_new(folder / PUBLIC, public_file(pair.public))
    except OSError as error:
        refuse(f"{folder}: {error.strerror}; nothing that is there is overwritten")
    public, secret = folder / PUBLIC, folder / SECRET
    report(
        json,
        {"seals": str(public), "opens": str(secret)},
        f"{public} seals backups, {secret} opens them; keep the latter elsewhere",
    )


def backup(region: str, *, data: Path, to: Path, out: Path, json: bool = False) -> None:
    """Write a backup of a region that runs, all its databases as of one moment.

    It holds no keys. Exit code 1 when the services do not come to rest for a moment, a program of
    PostgreSQL fails, or a server ends meanwhile: there is no backup then. Exit code 2 when nothing
    was begun: the key does not fit, the file can't be written, or the databases do not answer.

    Args:
        region: of this folder.
        data: the data folder of a mesh that runs.
        to: file with the public key (aidmesh keys backup makes it).
        out: file to write; must not exist.
        json: say as JSON what was written.
    """
    run(
        _backup(data.expanduser().resolve(), region, to, out.expanduser().resolve(), json),
        unreached=EXIT_REFUSED,
    )


async def _backup(data: Path, region: str, to: Path, out: Path, as_json: bool) -> int:
    import asyncpg  # noqa: PLC0415

    from aidmesh.backup.cut import BusyError  # noqa: PLC0415
    from aidmesh.backup.programs import ProgramError  # noqa: PLC0415
    from aidmesh.backup.take import Links, take  # noqa: PLC0415
    from aidmesh.meshfile import WITH_DATABASE, read_mesh  # noqa: PLC0415

    mesh = read_mesh(data)
    if region not in mesh.regions:
        refuse(f"{data} has no region {region}; it has {', '.join(mesh.regions)}")
    entry = mesh.regions[region]
    peers = {
        peer: mesh.elsewhere[peer].address if peer in mesh.elsewhere else None
        for peer in mesh.peers(region)
    }
    if not (out.parent.is_dir() and os.access(out.parent, os.W_OK)):
        refuse(f"{out.parent} is no folder that can be written to")
    try:
        taken = await take(
            region,
            entry.epoch,
            Links(peers, entry.nats.leaf_host, entry.nats.leaf_port),
            {service: entry.dsn(service) for service in WITH_DATABASE},
            out,
            _public(to),
        )
    except FileExistsError as error:
        refuse(str(error))
    except (BusyError, ProgramError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        warn(f"no backup was written: {error}")
        return EXIT_FAILED
    moment = taken.manifest.taken_at.isoformat(timespec="seconds")
    if as_json:
        _say_json(
            {
                "region": region,
                "backup_id": str(taken.manifest.backup_id),
                "taken_at": moment,
                "epoch": taken.manifest.epoch,
                "file": str(out),
                "bytes": taken.size,
            }
        )
    else:
        say(f"{region} as of {moment}: {out}, {taken.size} bytes")
    return 0


def restore(
    region: str,
    *,
    backup: Path,
    key: Path,
    data: Path | None = None,
    keys: Path | None = None,
    erasures: Path | None = None,
    without: str | None = None,
    wait: float = 60.0,
    check: bool = False,
    json: bool = False,
) -> None:
    """Restore a region from a backup: onto a new machine, or in place of what is there.

    No mesh may run in the folder; of containers the servers have to run, and the rest to rest. What
    the region told others since the backup is asked back from them; what can't be proven waits for
    people. What was there before is set aside. Broken off, it is begun again. Exit code 1 when it
    did not end well, 2 when the backup does not fit.

    Args:
        region: whose backup it is.
        backup: the file.
        key: file with the secret key that opens it; --key=- reads it from standard input.
        data: the data folder; made when missing. Has to be named unless it is only a check.
        keys: folder with a folder of keys per region; see `keys init`. May be left out if the data
            folder knows the region.
        erasures: the list of erasures that outlives backups; erasures.log in the folder of the
            region's keys when not given.
        without: peers whose word is not waited for, separated by commas. What only they know of
            this region since the backup is missed, money too. The region's own name: its NATS
            store of before is not read.
        wait: seconds that each peer may take.
        check: only read the backup to its end and say what it holds, or why it can't be restored;
            changes nothing, and needs neither a data folder nor keys of the region.
        json: say as JSON what was done.
    """
    from aidmesh_chassis.erasures import FILE  # noqa: PLC0415

    backup = backup.expanduser().resolve()
    try:
        backup.open("rb").close()
    except OSError as error:
        refuse(f"{backup}: {error.strerror}")
    if check:
        run(_check(region, backup, _secret(key), json))
    if data is None:
        refuse("name the data folder to restore into (--data)")
    data = data.expanduser().resolve()
    own = _own_keys(data, region) if keys is None else keys.expanduser().resolve() / region
    if not own.is_dir():
        refuse(f"{own} is missing: a region is nothing without its keys")
    listed = own / FILE if erasures is None else erasures.expanduser().resolve()
    if erasures is not None and not listed.exists():
        refuse(
            f"{listed} is missing, and without it people are back who were erased since then; "
            "name --erasures /dev/null if there never was one"
        )
    run(
        _restore(
            region,
            backup,
            _secret(key),
            data,
            own,
            listed,
            frozenset(names(without) or ()),
            wait,
            json,
        )
    )


async def _check(region: str, backup: Path, secret: "PrivateKey", as_json: bool) -> int:
    from aidmesh.backup.container import ContainerError  # noqa: PLC0415
    from aidmesh.backup.load import BackupError  # noqa: PLC0415
    from aidmesh.restoring.run import check_for  # noqa: PLC0415

    try:
        manifest = await check_for(region, backup, secret)
    except (ContainerError, BackupError) as error:
        refuse(str(error))
    _say_manifest(manifest.model_dump(mode="json"), as_json)
    return 0


async def _restore(
    region: str,
    backup: Path,
    secret: "PrivateKey",
    data: Path,
    keys: Path,
    erasures: Path,
    without: frozenset[str],
    wait: float,
    as_json: bool,
) -> int:
    from dataclasses import asdict  # noqa: PLC0415

    from aidmesh.backup.container import ContainerError  # noqa: PLC0415
    from aidmesh.backup.load import BackupError  # noqa: PLC0415
    from aidmesh.backup.programs import ProgramError  # noqa: PLC0415
    from aidmesh.restoring.run import Wish, restore  # noqa: PLC0415
    from aidmesh_chassis.erasures import JournalError  # noqa: PLC0415

    try:
        outcome = await restore(
            Wish(
                data,
                region,
                backup,
                secret,
                keys,
                erasures,
                without,
                wait,
                (lambda _: None) if as_json else say,
            )
        )
    except (ContainerError, BackupError, JournalError) as error:
        refuse(str(error))
    except ProgramError as error:
        warn(f"{region} is half restored; begin again: {error}")
        return EXIT_FAILED
    done = outcome.forwarded
    if as_json:
        _say_json(
            {
                "region": region,
                "epoch": outcome.epoch,
                "taken_at": outcome.manifest.taken_at.isoformat(timespec="seconds"),
                "told_by": outcome.told_by,
                "aside": list(outcome.aside),
                "without": sorted(without),
                **asdict(done),
            }
        )
        return EXIT_FAILED if done.not_erased else 0
    for name in outcome.aside:
        say(f"set aside: {name}")
    say(f"{done.told} events came back, {done.redone} of them are in the books again")
    for allotment, amount in done.reserved_minor.items():
        say(f"allotment {allotment}: {amount} committed as used since (minor units)")
    for grant, amount in done.set_aside_minor.items():
        say(f"grant {grant}: {amount} set aside, or still missing (minor units)")
    open_ones = ", ".join(f"{count} {about}" for about, count in done.unproven.items() if count)
    say(f"for people to look up: {open_ones or 'nothing'}; {done.left} events of what is lost")
    say(f"{done.erased} erasures were done again")
    for record in done.parted:
        say(f"no longer merged with who was erased: person {record}; enter their contact anew")
    for what in done.not_erased:
        say(f"not erased, do it by hand: {what}")
    say(f"{region} is restored, with epoch {outcome.epoch}; start it")
    return EXIT_FAILED if done.not_erased else 0


def _own_keys(data: Path, region: str) -> Path:
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    try:
        return read_mesh(data).regions[region].keys
    except (MeshError, KeyError):
        refuse(f"{data} does not know where the keys of {region} are; name their folder (--keys)")


def _say_manifest(manifest: dict[str, object], as_json: bool) -> None:
    if as_json:
        _say_json(manifest)
        return
    say(f"{manifest['region']} as of {manifest['taken_at']}, epoch {manifest['epoch']}: whole")


def _say_json(content: dict[str, object]) -> None:
    import json  # noqa: PLC0415

    say(json.dumps(content, indent=1))


def _public(path: Path) -> "PublicKey":
    from aidmesh.backup.pair import PairError, public_of  # noqa: PLC0415

    try:
        return public_of(path, _start(path))
    except OSError as error:
        refuse(f"{path}: {error.strerror}; aidmesh keys backup makes a pair of keys")
    except PairError as error:
        refuse(f"{path} {error}")


def _secret(path: Path) -> "PrivateKey":
    from aidmesh.backup.pair import PairError, secret_of  # noqa: PLC0415

    try:
        piped = str(path) == "-"
        return secret_of(sys.stdin.buffer.read(KEY_BYTES_MAX) if piped else _start(path))
    except OSError as error:
        refuse(f"{path}: {error.strerror}")
    except PairError as error:
        refuse(f"{path} {error}")


def _start(path: Path) -> bytes:
    """All of a file that is a key, enough of another one to see that it is none."""
    with path.expanduser().open("rb") as file:
        return file.read(KEY_BYTES_MAX)
