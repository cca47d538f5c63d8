"""`aidmesh keys`: the keys of regions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import names, refuse, report, run, say, tell
from aidmesh.commands.secret import NAMED, KeysOf, ask

if TYPE_CHECKING:
    from aidmesh.meshfile import MeshFile

PERSONAL = "master,notification,payments"
"""The keys that personal data is read with. tokens.key signs what staff sign in with; without it
nobody could, after every restart."""


def init(*, keys: Path, regions: str, json: bool = False) -> None:
    """Make the keys of regions; what is there is never overwritten.

    Args:
        keys: folder to make them in, one folder per region; outside every data folder.
        regions: names separated by commas.
        json: the files that were written, by region.
    """
    from aidmesh.credentials import create_keys  # noqa: PLC0415
    from aidmesh_chassis.keys import KeyFileError  # noqa: PLC0415

    root = keys.expanduser().resolve()
    try:
        written = {region: create_keys(root / region) for region in names(regions) or ()}
    except (KeyFileError, OSError) as error:
        refuse(str(error))
    report(
        json,
        {region: [str(path) for path in paths] for region, paths in written.items()},
        *(f"{root / region}: {len(paths)} files written" for region, paths in written.items()),
        "Keep a copy of these folders apart from all backups of data: a lost key is lost data.",
    )


def rotate(
    *,
    data: Path,
    region: str | None = None,
    finish: bool = False,
    told: str = "",
    json: bool = False,
) -> None:
    """Replace keys of NATS users, links and services, certificates and passwords; nothing stops.

    A mesh that runs takes them up step by step, with both keys valid meanwhile; if a step does not
    end, begin again. Former keys that things were sealed to stay in the folder to open these. The
    master key stays.

    Args:
        data: folder of the mesh.
        region: which region's; all, one after the other, when not given.
        told: regions on other machines, separated by commas, that know by a new ask, invitation
            and join what comes next on links; until then the key of links to those that this region
            dials stays, and the authority of its certificates.
        finish: replace nothing, but accept no more what staff signed in with before the last time.
        json: as JSON, by region.
    """
    from aidmesh.meshfile import MeshError  # noqa: PLC0415

    folder = data.expanduser().resolve()
    try:
        mesh, chosen = _chosen(folder, region)
        passphrase = None if finish else _passphrase(mesh, chosen)
    except MeshError as error:
        refuse(str(error))
    if not finish:
        run(_rotate(folder, mesh, chosen, passphrase, names(told) or (), json))
    from aidmesh_chassis.key_rotation import forget_tokens  # noqa: PLC0415

    gone = {name: forget_tokens(mesh.regions[name].keys) for name in chosen}
    report(
        json,
        {name: {"forgotten": len(many)} for name, many in gone.items()},
        *(
            f"{name}: {len(many)} former keys of tokens are accepted no more"
            for name, many in gone.items()
        ),
    )


def show(*, at: KeysOf = NAMED, json: bool = False) -> None:
    """List the ids of a region's keys, of those in use and of the former ones.

    Args:
        at: which region's keys.
        json: as JSON.
    """
    from aidmesh_chassis.key_files import KeyFileError, key_id, read_public  # noqa: PLC0415
    from aidmesh_chassis.key_rotation import ROTATED, former  # noqa: PLC0415

    region, folder = at.folder()
    try:
        kept = former(folder)
        found = {
            name: {
                "current": key_id(read_public(folder / f"{name}.pub")),
                "former": list(kept[name]),
            }
            for name in ROTATED
        }
    except KeyFileError as error:
        refuse(str(error))
    if json:
        tell({"region": region, "keys": found})
        return
    for name, ids in found.items():
        say(f"{region} {name}: {ids['current']}; former: {', '.join(ids['former']) or 'none'}")


def _chosen(data: Path, region: str | None) -> "tuple[MeshFile, tuple[str, ...]]":
    from aidmesh.credentials import check_folders  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, check_ours, read_mesh  # noqa: PLC0415

    mesh = read_mesh(data)
    check_ours(mesh)
    chosen = tuple(mesh.regions) if region is None else (region,)
    for name in chosen:
        if name not in mesh.regions:
            raise MeshError(f"{data} holds no region {name}")
    check_folders({name: mesh.regions[name].keys for name in chosen})
    return mesh, chosen


def _passphrase(mesh: "MeshFile", chosen: tuple[str, ...]) -> str | None:
    from aidmesh.own_keys import covered  # noqa: PLC0415

    if any(covered(mesh.regions[name].keys) for name in chosen):
        return ask("Passphrase of the keys")
    return None


async def _rotate(
    data: Path,
    mesh: "MeshFile",
    chosen: tuple[str, ...],
    passphrase: str | None,
    told: tuple[str, ...],
    as_json: bool,
) -> int:
    from aidmesh.own_keys import rotate_own  # noqa: PLC0415
    from aidmesh.rotation import (  # noqa: PLC0415
        rotate_passwords,
        rotate_running,
        rotate_stopped,
        runs,
    )

    tell_person: Callable[[str], None] = (lambda _: None) if as_json else say
    fields: dict[str, object] = {}
    for name in chosen:
        await rotate_own(name, mesh.regions[name], passphrase)
        tell_person(
            f"{name}: services have new keys; what was sealed to the former ones is opened by these"
        )
    for name in chosen:
        entry = mesh.regions[name]
        running = runs(entry.nats)
        if running:
            done = await rotate_running(name, mesh, data, told)
            tell_person(f"{name}: new keys of NATS; {done.moved} connections came anew")
        else:
            done = rotate_stopped(name, mesh, told)
            tell_person(f"{name}: new keys of NATS; it does not run and has them at its next start")
        if done.untold:
            peers = ",".join(done.untold)
            tell_person(
                f"{name}: what it proves itself with on links to {peers} stays in part until they "
                "know what is next: exchange a new aidmesh topology ask, invite and join --file, "
                f"then rotate --told {peers}"
            )
        await rotate_passwords(name, data, running=running)
        tell_person(
            f"{name}: new passwords of databases; sessions from before are over"
            if running
            else f"{name}: new passwords of databases, which they get at its next start"
        )
        fields[name] = {"connections": done.moved, "untold": list(done.untold)}
    report(as_json, fields)
    return 0


def protect(
    *,
    at: KeysOf = NAMED,
    which: str = PERSONAL,
    json: bool = False,
) -> None:
    """Put a passphrase on a region's keys; its services then start locked, until unlock.

    Args:
        at: which region's keys.
        which: keys separated by commas, of master, notification, payments.
        json: the files that have one now.
    """
    from aidmesh_chassis.key_files import secret_files  # noqa: PLC0415
    from aidmesh_chassis.keys import KeyFileError, is_protected, opens  # noqa: PLC0415
    from aidmesh_chassis.keys import protect as protect_file  # noqa: PLC0415

    _, folder = at.folder()
    wanted = names(which) or ()
    if not wanted or set(wanted) - set(PERSONAL.split(",")):
        refuse(f"keys that can have a passphrase are {PERSONAL.replace(',', ', ')}")
    try:
        paths = [path for name in wanted for path in secret_files(folder, name)]
        already = [path for path in paths if is_protected(path)]
        plain = [path for path in paths if path not in already]
        if not plain:
            refuse("they have a passphrase already; nothing was changed")
        passphrase = ask("Passphrase", twice=True)
        for path in already:
            if not opens(path, passphrase):
                refuse(f"{path.name} has another passphrase already; nothing was changed")
        for path in plain:
            protect_file(path, passphrase)
    except (KeyFileError, ValueError, OSError) as error:
        refuse(str(error))
    report(
        json,
        {"protected": [str(path) for path in plain]},
        *(f"{path} has a passphrase now" for path in plain),
        "Without it this data is lost: keep it, or an unprotected copy of the keys, in a safe.",
        "Services that run keep their keys until aidmesh lock, or until they are started again.",
    )


def passphrase(*, at: KeysOf = NAMED, off: bool = False, json: bool = False) -> None:
    """Change the passphrase of a region's keys, or take it off; asks for the one until now first.

    Cut short between two files, it is taken up by the next time.

    Args:
        at: which region's keys.
        off: take it off; whoever has the folder then reads personal data.
        json: the files that were written.
    """
    from aidmesh_chassis.key_files import change_passphrase, secret_files  # noqa: PLC0415
    from aidmesh_chassis.keys import KeyFileError, is_protected, opens  # noqa: PLC0415

    _, folder = at.folder()
    try:
        paths = [path for name in PERSONAL.split(",") for path in secret_files(folder, name)]
        protected = [path for path in paths if is_protected(path)]
        if not protected:
            refuse("no key has a passphrase; aidmesh keys protect puts one on")
        current = ask("Passphrase until now")
        new = None if off else ask("New passphrase", twice=True)
        due = [path for path in protected if opens(path, current)]
        for path in protected:
            if path not in due and not (due and new and opens(path, new)):
                refuse(f"the passphrase does not open {path.name}; nothing was changed")
        for path in due:
            change_passphrase(path, current, new)
    except (KeyFileError, ValueError, OSError) as error:
        refuse(str(error))
    has = "no passphrase any more" if off else "another passphrase now"
    effect = (
        "Services that run without these keys load them by themselves."
        if off
        else "Services that run keep their keys until aidmesh lock, or until they start again."
    )
    report(
        json,
        {"written": [str(path) for path in due]},
        *(f"{path} has {has}" for path in due),
        "Copies of these files from before are as they were: destroy them, or keep them as safe.",
        effect,
    )
