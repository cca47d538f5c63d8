"""The examples of files that the documents and the desk give are taken in as they are."""

import json
from pathlib import Path

import pytest

from aidmesh_console.i18n import LANGUAGES, Speaker
from aidmesh_console.import_columns import EXAMPLE, example, names
from integration.intake.world import World

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


async def tried(world: World, content: bytes, mapping: str) -> dict[str, object]:
    """What a dry run says of a file."""
    answer = await world.client.post(
        "/v1/requests:import",
        params={"source": "example", "format": "csv", "dry_run": "true"},
        files={"file": ("example.csv", content), "mapping": (None, mapping.encode())},
        headers=world.headers(),
    )
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


@pytest.mark.parametrize(
    ("file", "mapping", "rows"),
    [("requests.csv", None, 3), ("kobo.csv", "kobo-mapping.json", 3)],
)
async def test_examples_of_the_documents(
    world: World, file: str, mapping: str | None, rows: int
) -> None:
    content = (EXAMPLES / file).read_bytes()
    text = "{}" if mapping is None else (EXAMPLES / mapping).read_text("utf-8")
    told = await tried(world, content, text)
    assert told["problems"] == []
    assert (told["rows_total"], told["accepted"]) == (rows, rows)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_example_of_the_desk_in_each_language(world: World, language: str) -> None:
    content = example(Speaker(language)).encode("utf-8-sig")
    told = await tried(world, content, json.dumps({"columns": dict(names())}))
    assert told["problems"] == []
    assert told["accepted"] == len(EXAMPLE)
