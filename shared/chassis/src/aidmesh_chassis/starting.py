"""Starts a service. Nothing heavy is imported here: what is takes most of the time of a start."""

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

EXIT_REFUSED: Final = os.EX_CONFIG
"""How a process ends whose settings do not fit: started anew with the same it ends so again."""


def start(name: str, migrations: Path | None, *, also: Sequence[str] = ()) -> None:
    """Import a service and run its command line; see `process.main`.

    Nothing that is imported is garbage, and looking for some takes a quarter of the time: nobody
    looks until the service runs (`process.serve`).

    Args:
        name: the service's name.
        migrations: its folder of migrations, None where it has no database.
        also: further commands that it has, for who has mistyped one.
    """
    gc.disable()
    from aidmesh_chassis.process import main  # noqa: PLC0415

    main(name, migrations, also)
