"""Results as CSV with HXL hashtags (hxlstandard.org), for the humanitarian data exchange."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from aidmesh_reporting.domain.results import Cell, Dimension, Line

_TAGS: Mapping[Dimension, str] = {
    "kind": "#service+code",
    "area": "#adm1+code",
    "month": "#date+month",
    "grant": "#project+grant+code",
    "unit": "#item+unit",
}


SENSITIVE: Final = "sensitive"
"""In place of a kind: all those that only some roles may see."""


def to_csv(
    region: str,
    by: Sequence[Dimension],
    lines: Iterable[tuple[Cell, Line]],
    apart: Line | None,
    status: str,
    grant_codes: Mapping[UUID, str],
) -> str:
    """Return a table: names, hashtags, then a row for each line and unit.

    Args:
        apart: what is sensitive, together, for those who may not see it in the lines.
        status: `provisional` or `settled`.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        ["region", *by, "people", "people_exact", "services", "contacts", "quantities", "status"]
    )
    writer.writerow(
        [
            "#org+region",
            *(_TAGS[dimension] for dimension in by),
            "#reached+people",
            "#reached+exact",
            "#reached+services",
            "#reached+contacts",
            "#value+quantities",
            "#status",
        ]
    )
    rows = [(cell, line, status) for cell, line in lines]
    if apart is not None and apart.services:
        rows.append((Cell(kind=SENSITIVE), apart, f"{status}+{SENSITIVE}"))
    for cell, line, of_what in rows:
        names: dict[Dimension, str] = {
            "kind": cell.kind or "",
            "area": cell.area or "",
            "month": cell.month or "",
            "grant": "" if cell.grant is None else grant_codes.get(cell.grant, str(cell.grant)),
            "unit": cell.unit or "",
        }
        numbers = [
            line.people,
            line.people_exact,
            line.services,
            line.contacts,
            " ".join(f"{unit}:{value}" for unit, value in sorted(line.quantities.items())),
        ]
        writer.writerow([region, *(names[dimension] for dimension in by), *numbers, of_what])
    return out.getvalue()
