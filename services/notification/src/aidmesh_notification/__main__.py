"""`python -m aidmesh_notification run | migrate`."""

from pathlib import Path

from aidmesh_chassis.process import main
from aidmesh_notification.app import build

if __name__ == "__main__":
    main("notification", build, Path(__file__).parent / "migrations")
