"""What routes take, as their OpenAPI document says it."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from aidmesh_chassis.http import Declared, declared_by

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


def unbounded_days(app: FastAPI) -> set[str]:
    """Days and moments that routes take in any year; there are to be none.

    They are told as `METHOD path: field`.
    """
    document = app.openapi()
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return {
        f"{method.upper()} {path}: {field}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for field in (
            *(
                field
                for content in operation.get("requestBody", {}).get("content", {}).values()
                for field in unbounded_in(content["schema"], schemas)
            ),
            *(
                f"?{each['name']}"
                for each in operation.get("parameters", ())
                if unbounded_in(each["schema"], schemas)
            ),
        )
    }


def unbounded_in(schema: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """The fields in a schema that take any day or moment, however deep they lie.

    Args:
        schemas: those that it refers to, by name.
    """
    found: set[str] = set()
    seen: set[str] = set()

    def look(at: object, field: str) -> None:
        if isinstance(at, list):
            for each in at:
                look(each, field)
        elif isinstance(at, dict):
            name = str(at.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                look(schemas[name], field)
            bounded = "formatMinimum" in at and "formatMaximum" in at
            if at.get("format") in ("date", "date-time") and not bounded:
                found.add(field)
            for key, each in at.items():
                if key == "properties":
                    for inner, told in each.items():
                        look(told, inner)
                else:
                    look(each, field)

    look(schema, "")
    return found


def misread_routes(app: FastAPI) -> list[str]:
    """Routes of which `declared_by` says another thing than the document; there are to be none."""
    read = {
        (method, route.path_format): declared
        for route in app.routes
        if isinstance(route, APIRoute) and (declared := declared_by({"route": route})) is not None
        for method in route.methods or ()
    }
    documented = {
        (method.upper(), path): Declared(
            frozenset(each["name"] for each in item.get("parameters", ()) if each["in"] == "query"),
            "requestBody" in item,
        )
        for path, items in app.openapi()["paths"].items()
        for method, item in items.items()
    }
    assert documented
    both = read.keys() | documented.keys()
    return [f"{key}" for key in sorted(both) if read.get(key) != documented.get(key)]
