"""`python -m aidmesh_payments run | migrate`."""

from pathlib import Path

from aidmesh_chassis.starting import start

if __name__ == "__main__":
    start("payments", Path(__file__).parent / "migrations")
