"""`python -m aidmesh_intake run` or `migrate`."""

from pathlib import Path

from aidmesh_chassis.starting import start

if __name__ == "__main__":
    start("intake", Path(__file__).parent / "migrations")
