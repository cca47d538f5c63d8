"""`python -m aidmesh_contracts write FOLDER`: schemas, AsyncAPI documents, the event catalogue."""

import json
import sys
from pathlib import Path

from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.documents import asyncapi, schema_of, table
from aidmesh_contracts.registry import ALL

HEAD = """# Events

Generated from the contracts by `make documents`; a test compares it with the code.
EVENTS leave the region, everything else stays: see `aidmesh_contracts/streams.py`.

"""


def documents() -> dict[str, str]:
    """Return the text of every generated file, by its path below the repository's root."""
    files = {
        f"shared/contracts/schemas/{event.type}.json": _text(schema_of(event)) for event in ALL
    }
    for service in sorted({consumer.service for consumer in CONSUMERS}):
        files[f"docs/asyncapi/{service}.json"] = _text(asyncapi(service))
    files["docs/events.md"] = HEAD + table()
    return files


def _text(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] != ["write"] or len(sys.argv) != 3:
        sys.exit("usage: python -m aidmesh_contracts write FOLDER")
    for name, text in documents().items():
        path = Path(sys.argv[2], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
