"""All services of a region in one process: `python -m aidmesh.host [SERVICE...]`.

The same code as one process per service, with the same settings from the environment: each has
its own pool, broker connection and port. They share an event loop and some 60 MB.
"""

import gc
import sys

from aidmesh.meshfile import SERVICES


def main(names: list[str]) -> None:
    """Build and run the named services, all when none is named, until SIGTERM."""
    gc.disable()  # see `aidmesh_chassis.starting`
    from aidmesh_chassis.process import put_together, run  # noqa: PLC0415

    run(put_together(names or SERVICES, "host"))


if __name__ == "__main__":
    main(sys.argv[1:])
