"""`python -m aidmesh_inventory run` or `migrate`."""

from pathlib import Path

from aidmesh_chassis.starting import start

if __name__ == "__main__":
    start("inventory", Path(__file__).parent / "migrations")
