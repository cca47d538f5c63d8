"""`python -m aidmesh_reporting run | migrate | rebuild [--from-stream]`."""

import sys
from pathlib import Path

from aidmesh_chassis.starting import start

if __name__ == "__main__":
    if sys.argv[1:2] == ["rebuild"] and set(sys.argv[2:]) <= {"--from-stream"}:
        from aidmesh_reporting.rebuild_command import main

        main(from_stream="--from-stream" in sys.argv)
    else:
        start("reporting", Path(__file__).parent / "migrations", also=["rebuild [--from-stream]"])
