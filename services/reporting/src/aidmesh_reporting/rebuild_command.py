"""`python -m aidmesh_reporting rebuild`: settings, logs and exit code around `rebuild.run`."""

import asyncio
import sys

from aidmesh_chassis import logs
from aidmesh_chassis.service import open_database
from aidmesh_chassis.settings import read_settings
from aidmesh_reporting import rebuild
from aidmesh_reporting.app import NAME
from aidmesh_reporting.config import Settings


def main(*, from_stream: bool) -> None:
    """Rebuild them; with `from_stream` the region's streams are read first."""
    try:
        settings = read_settings(Settings)
        logs.configure(NAME, settings.region, level=settings.log_level)
        database = open_database(NAME, settings)
        asyncio.run(rebuild.run(database, settings, from_stream=from_stream))
    except (ValueError, EOFError, OSError) as error:
        sys.exit(f"not rebuilt: {error}")
