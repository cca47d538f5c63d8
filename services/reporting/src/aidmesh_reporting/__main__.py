"""`python -m aidmesh_reporting run | migrate | rebuild [--from-stream]`."""

import asyncio
import sys
from pathlib import Path

from aidmesh_chassis import logs
from aidmesh_chassis.process import main
from aidmesh_chassis.service import open_database
from aidmesh_reporting import rebuild
from aidmesh_reporting.app import NAME, build
from aidmesh_reporting.config import Settings


def _rebuild(from_stream: bool) -> None:
    settings = Settings()
    logs.configure(NAME, settings.region, level=settings.log_level)
    database = open_database(NAME, settings)
    try:
        asyncio.run(rebuild.run(database, settings, from_stream=from_stream))
    except (ValueError, EOFError, OSError) as error:
        sys.exit(f"not rebuilt: {error}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["rebuild"] and set(sys.argv[2:]) <= {"--from-stream"}:
        _rebuild(from_stream="--from-stream" in sys.argv)
    else:
        main(NAME, build, Path(__file__).parent / "migrations")
