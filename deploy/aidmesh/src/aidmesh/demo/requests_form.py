"""A week's request file as it is sent: with the ids of sites instead of their codes."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID


def with_site_ids(
    path: Path, site_ids: Mapping[str, UUID]
) -> tuple[bytes, list[str], dict[str, str]]:
    """Read a request file.

    Returns:
        its content with `site_id` in place of `site_code`, its row ids in order, and the site
        ids of rows that name one.
    """
    row_ids: list[str] = []
    named: dict[str, str] = {}
    out = io.StringIO()
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = ["site_id" if c == "site_code" else c for c in reader.fieldnames or ()]
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        for row in reader:
            row_ids.append(row["row_id"])
            code = row.pop("site_code")
            row["site_id"] = str(site_ids[code]) if code else ""
            if code:
                named[row["row_id"]] = row["site_id"]
            writer.writerow(row)
    return out.getvalue().encode(), row_ids, named
