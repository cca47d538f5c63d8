"""`aidmesh keys`: the keys of regions."""

from pathlib import Path

from aidmesh.commands.common import names, refuse, run, say
from aidmesh.commands.secret import NAMED, KeysOf, ask

PERSONAL = "master,notification,payments"
"""The keys that personal data is read with. tokens.key signs what staff sign in with; without it
nobody could, after every restart."""


def init(*, keys: Path, regions: str) -> None:
    """Make the keys of regions; what is there is never overwritten.

    Args:
        keys: folder to make them in, one folder per region; outside every data folder.
        regions: names separated by commas.
    """
    from aidmesh.credentials import create_keys  # noqa: PLC0415
    from aidmesh_chassis.keys import KeyFileError  # noqa: PLC0415

    for region in names(regions) or ():
        folder = keys.expanduser().resolve() / region
        try:
            written = create_keys(folder)
        except (KeyFileError, OSError) as error:
            refuse(str(error))
        say(f"{folder}: {len(written)} files written")
    say("Keep a copy of these folders apart from all backups of data: a lost key is lost data.")


def rotate(*, data: Path, region: str | None = None) -> None:
    """Replace the keys of NATS users and links, and the links' certificates; nothing stops.

    A mesh that runs takes them up step by step, with both keys valid meanwhile; if a step does not
    end, begin again. Keys that data is encrypted with stay.

    Args:
        data: folder of the mesh.
        region: which region's; all, one after the other, when not given.
    """
    run(_rotate(data.expanduser().resolve(), region))


async def _rotate(data: Path, region: str | None) -> int:
    from aidmesh.credentials import check_folders  # noqa: PLC0415
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415
    from aidmesh.rotation import rotate_running, rotate_stopped, runs  # noqa: PLC0415

    mesh = read_mesh(data)
    chosen = tuple(mesh.regions) if region is None else (region,)
    for name in chosen:
        if name not in mesh.regions:
            raise MeshError(f"{data} holds no region {name}")
    check_folders({name: mesh.regions[name].keys for name in chosen})
    for name in chosen:
        entry = mesh.regions[name]
        if runs(entry.nats.monitor_port):
            done = await rotate_running(name, mesh, data)
            say(f"{name}: new keys; {done.moved} connections came anew")
        else:
            rotate_stopped(entry.keys)
            say(f"{name}: new keys; it does not run and has them at its next start")
    return 0


def protect(
    *,
    at: KeysOf = NAMED,
    which: str = PERSONAL,
) -> None:
    """Put a passphrase on a region's keys; its services then start locked, until unlock.

    Args:
        at: which region's keys.
        which: keys separated by commas, of master, notification, payments.
    """
    from aidmesh_chassis.keys import KeyFileError, is_protected, opens  # noqa: PLC0415
    from aidmesh_chassis.keys import protect as protect_file  # noqa: PLC0415

    _, folder = at.folder()
    wanted = names(which) or ()
    if not wanted or set(wanted) - set(PERSONAL.split(",")):
        refuse(f"keys that can have a passphrase are {PERSONAL.replace(',', ', ')}")
    paths = [folder / f"{name}.key" for name in wanted]
    try:
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
            say(f"{path} has a passphrase now")
    except (KeyFileError, ValueError, OSError) as error:
        refuse(str(error))
    say("Without it this data is lost: keep it, or an unprotected copy of the keys, in a safe.")
    say("Services that run keep their keys until aidmesh lock, or until they are started again.")
