"""What routes take, as their OpenAPI document says it."""

from typing import Any

from fastapi import FastAPI

_REFERENCE = "#/components/schemas/"


def lax_bodies(app: FastAPI) -> set[str]:
    """Objects in request bodies of which an unknown field would be ignored; there are to be none.

    What is a mapping by its nature says of what.
    """
    document = app.openapi()
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    found: set[str] = set()
    seen: set[str] = set()

    def look(at: object, name: str) -> None:
        if isinstance(at, list):
            for each in at:
                look(each, name)
        elif isinstance(at, dict):
            reference = str(at.get("$ref", "")).removeprefix(_REFERENCE)
            if reference and reference not in seen:
                seen.add(reference)
                look(schemas[reference], reference)
            if "properties" in at and at.get("additionalProperties") is not False:
                found.add(name)
            for each in at.values():
                look(each, name)

    for path, item in document["paths"].items():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            look(content.get("application/json", {}).get("schema"), path)
    return found
