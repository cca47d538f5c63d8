"""Writing and reading the scenario's CSV files: UTF-8, one header line, `\\n` line ends."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Row = Mapping[str, object]


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write rows and return how many; a file without rows is not written at all."""
    listed = list(rows)
    if listed:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: _text(row.get(key)) for key in columns} for row in listed)
    return len(listed)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else ""
    return str(value)
