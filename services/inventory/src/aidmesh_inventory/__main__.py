"""`python -m aidmesh_inventory run` or `migrate`."""

from pathlib import Path

from aidmesh_chassis.process import main
from aidmesh_inventory.app import build

if __name__ == "__main__":
    main("inventory", build, Path(__file__).parent / "migrations")
