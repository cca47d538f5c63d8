"""`python -m aidmesh_intake run` or `migrate`."""

from pathlib import Path

from aidmesh_chassis.process import main
from aidmesh_intake.app import build

if __name__ == "__main__":
    main("intake", build, Path(__file__).parent / "migrations")
