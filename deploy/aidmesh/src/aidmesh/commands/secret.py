"""What commands about keys and staff share: which keys folder, and secrets asked for.

A secret is never an argument: arguments show in the list of processes and in the shell's history.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyclopts import Parameter

from aidmesh.commands.common import refuse

SECRET_CHARS_MAX = 1024


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class KeysOf:
    """Which region is meant, and where its keys are: options that several commands take.

    Either `keys` and `region`, or `data`, which knows; `region` may then be left out if it holds
    one only.
    """

    keys: Path | None = None
    """folder with a folder of keys per region."""

    data: Path | None = None
    """folder of a mesh instead."""

    region: str | None = None
    """which region; may be left out if the mesh has one only."""

    def folder(self) -> tuple[str, Path]:
        """The region meant, and its folder of keys."""
        region = self.region
        if (self.keys is None) == (self.data is None):
            refuse("name either --keys or --data")
        if self.keys is not None:
            if region is None:
                refuse("name the region with --region")
            folder = self.keys.expanduser().resolve() / region
        else:
            assert self.data is not None  # noqa: S101 - one of the two
            region, folder = _of_mesh(self.data.expanduser().resolve(), region)
        if not folder.is_dir():
            refuse(f"{folder} is missing; aidmesh keys init makes it")
        return region, folder


NAMED: Final = KeysOf()
"""Whatever the options name; to be the default of a command's parameter."""


def ask(prompt: str, *, twice: bool = False) -> str:
    """A secret from the terminal, not echoed; from the first line of standard input if that is
    no terminal. Empty where nothing was entered."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline(SECRET_CHARS_MAX + 2)
        return line.removesuffix("\n").removesuffix("\r")
    import getpass  # noqa: PLC0415

    secret = getpass.getpass(f"{prompt}: ")
    if twice and secret and getpass.getpass(f"{prompt}, again: ") != secret:
        refuse("the two differ; nothing was changed")
    return secret


def _of_mesh(data: Path, region: str | None) -> tuple[str, Path]:
    from aidmesh.meshfile import MeshError, read_mesh  # noqa: PLC0415

    try:
        regions = read_mesh(data).regions
    except MeshError as error:
        refuse(str(error))
    if region is None and len(regions) == 1:
        region = next(iter(regions))
    if region is None:
        refuse(f"name the region with --region: {', '.join(regions)}")
    if region not in regions:
        refuse(f"{data} holds no region {region}")
    return region, regions[region].keys
