"""What the services call personal is nothing that a log shows, even as plain text."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from aidmesh_chassis.redaction import is_denied
from aidmesh_intake.domain.rows import ImportRow
from support.apps import SERVICES, app_of

OF_MANY_THINGS = {"code"}
"""Names that kinds, areas and problems have too: there the value has to hide itself."""


def personal(schema: object) -> Iterator[str]:
    """The members that are marked as personal, wherever they are in a schema."""
    if isinstance(schema, Mapping):
        members: Mapping[str, Any] = schema.get("properties", {})
        for name, of_it in members.items():
            if any(each.get("x-personal") for each in (of_it, *of_it.get("anyOf", ()))):
                yield name
        for part in schema.values():
            yield from personal(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from personal(part)


@pytest.mark.parametrize("name", SERVICES)
def test_no_personal_field_is_logged_by_its_name(name: str, keys_dir: Path) -> None:
    shown = {each for each in personal(app_of(name, keys_dir).openapi()) if not is_denied(each)}
    assert shown <= OF_MANY_THINGS


@pytest.mark.parametrize("model", [ImportRow])
def test_no_personal_column_is_logged_by_its_name(model: type[BaseModel]) -> None:
    columns = set(personal(model.model_json_schema()))
    assert {"client_code", "payee_card"} <= columns
    assert {each for each in columns if not is_denied(each)} == set()
