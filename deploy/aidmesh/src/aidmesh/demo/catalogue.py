"""The catalogue that a fresh region starts with, as the scenario needs it."""

from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain.kinds import Kind


def load_kinds() -> dict[str, Kind]:
    """All kinds by code."""
    return {kind.code: kind for kind in packaged()}
