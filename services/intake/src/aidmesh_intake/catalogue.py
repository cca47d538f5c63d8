"""The kinds that come with the package."""

import json
from functools import cache
from importlib.resources import files

from aidmesh_intake.domain.kinds import Kind


@cache
def packaged() -> tuple[Kind, ...]:
    """The kinds of `catalogue.json`."""
    rows = json.loads(files("aidmesh_intake").joinpath("catalogue.json").read_text("utf-8"))
    return tuple(Kind.model_validate(row) for row in rows)
