"""`python -m aidmesh_payments run | migrate`."""

from pathlib import Path

from aidmesh_chassis.process import main
from aidmesh_payments.app import build

main("payments", build, migrations=Path(__file__).parent / "migrations")
