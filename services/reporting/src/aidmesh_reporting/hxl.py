"""Results as CSV with HXL hashtags (hxlstandard.org), for the humanitarian data exchange."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from aidmesh_reporting.domain.results import Cell, Dimension, Line

_TAGS: Mapping[Dimension, str] = {
    "kind": "#service+code",
    "area": "#adm1+code",
    "month": "#date+month",
    "grant": "#project+grant+code",
    "unit": "#item+unit",
}


def to_csv(
    region: str,
    by: Sequence[Dimension],
    lines: Iterable[tuple[Cell, Line | None]],
    status: str,
    grant_codes: Mapping[UUID, str],
) -> str:
    """Return a table: names, hashtags, then a row for each line and unit.

    Args:
        lines: None for a line that is suppressed; its numbers stay empty.
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
    for cell, line in lines:
        names: dict[Dimension, str] = {
            "kind": cell.kind or "",
            "area": cell.area or "",
            "month": cell.month or "",
            "grant": "" if cell.grant is None else grant_codes.get(cell.grant, str(cell.grant)),
            "unit": cell.unit or "",
        }
        numbers = (
            ["", "", "", "", ""]
            if line is None
            else [
                line.people,
                line.people_exact,
                line.services,
                line.contacts,
                " ".join(f"{unit}:{value}" for unit, value in sorted(line.quantities.items())),
            ]
        )
        writer.writerow([region, *(names[dimension] for dimension in by), *numbers, status])
    return out.getvalue()
