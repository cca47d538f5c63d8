"""`aidmesh keys`: the keys of regions."""

from pathlib import Path

from aidmesh.commands.common import names, refuse, say


def init(*, keys: Path, regions: str) -> None:
    """Make the keys of regions; what is there is never overwritten.

    Args:
        keys: folder to make them in, one folder per region; outside every data folder.
        regions: names separated by commas.
    """
    from aidmesh_chassis.keys import KeyFileError, create_region_keys  # noqa: PLC0415

    for region in names(regions) or ():
        folder = keys.expanduser().resolve() / region
        try:
            written = create_region_keys(folder)
        except (KeyFileError, OSError) as error:
            refuse(str(error))
        say(f"{folder}: {len(written)} files written")
    say("Keep a copy of these folders apart from all backups of data: a lost key is lost data.")
