"""All services of a region in one process: `python -m aidmesh.host [SERVICE...]`.

The same code as one process per service, with the same settings from the environment: each has
its own pool, broker connection and port. They share an event loop and some 60 MB.
"""

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from aidmesh.meshfile import SERVICES

if TYPE_CHECKING:
    from aidmesh_chassis.service import Service


def main(names: list[str]) -> None:
    """Build and run the named services, all when none is named, until SIGTERM."""
    gc.disable()  # see `aidmesh_chassis.starting`
    from aidmesh_chassis import logs  # noqa: PLC0415
    from aidmesh_chassis.process import run  # noqa: PLC0415

    services: list[Service] = [
        import_module(f"aidmesh_{name}.app").build() for name in names or SERVICES
    ]
    settings = services[0].settings
    logs.configure("host", settings.region, level=settings.log_level)
    run(services)


if __name__ == "__main__":
    main(sys.argv[1:])
