"""What all that is made up stands on: ids by name, days and moments from now, refusals."""

import json
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from uuid import UUID, uuid5

from aidmesh_contracts.days import day_of
from aidmesh_intake.domain.kinds import Kind

REGION = "kyiv"
SPACE = UUID("3f2a91c0-5b1e-4a77-9d3c-000000000000")
TODAY = day_of(datetime.now(UTC))
NOW = datetime.now(UTC)

Answer = tuple[int, object]


def number(name: str) -> UUID:
    """The same id for the same name, every time."""
    return uuid5(SPACE, name)


def iso(days: int = 0) -> str:
    """A day, so many days from today."""
    return (TODAY + timedelta(days=days)).isoformat()


def at(minutes: int) -> str:
    """A moment, so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


def problem(status: int, slug: str, **members: object) -> Answer:
    """A refusal as the services word it."""
    return status, {"type": f"urn:aidmesh:problem:{slug}", "title": slug, "status": status,
                    "detail": "", **members}  # fmt: skip


SHELTER, SMALL, WAREHOUSE = number("shelter"), number("small"), number("warehouse")


def kinds() -> list[dict[str, object]]:
    """The catalogue that comes with the product."""
    path = files("aidmesh_intake") / "catalogue.json"
    found: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def items_taken() -> list[str]:
    """The items that its kinds take."""
    takes = [Kind.model_validate(each).stock for each in kinds()]
    return sorted({take.item for stock in takes for take in stock})


def whole_kind(code: str, **more: object) -> dict[str, object]:
    """One kind of it with all its fields, as intake shows it."""
    (found,) = [each for each in kinds() if each["code"] == code]
    return {**Kind.model_validate(found).model_dump(mode="json"), **more}
