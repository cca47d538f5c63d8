"""`python -m aidmesh_notification run | migrate`."""

from pathlib import Path

from aidmesh_chassis.starting import start

if __name__ == "__main__":
    start("notification", Path(__file__).parent / "migrations")
