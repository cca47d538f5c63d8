"""What holds of all routes of a service."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI


def posts_without_key(app: FastAPI) -> list[str]:
    """The POST routes that change something and do not honor the key."""
    document = app.openapi()
    return [
        path
        for path, item in document.get("paths", {}).items()
        if (post := item.get("post"))
        and not post.get("x-changes-nothing")
        and not any(
            parameter.get("in") == "header" and parameter.get("name") == "idempotency-key"
            for parameter in post.get("parameters", ())
        )
    ]


def gets_without_bound(app: FastAPI) -> list[str]:
    """The GETs whose answer may be a list of any length.

    A list has pages or says how long it can be (`rows_max`). What a path with an id in it answers
    may hold the parts of that one thing, but not be a list itself.
    """
    document = app.openapi()
    found: list[str] = []
    for path, item in document.get("paths", {}).items():
        get = item.get("get")
        if get is None or "x-rows-max" in get:
            continue
        asked = {each["name"] for each in get.get("parameters", ()) if each["in"] == "query"}
        if {"limit", "after"} <= asked:
            continue
        content = get["responses"]["200"].get("content", {}).get("application/json", {})
        schema = content.get("schema", {})
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        answer = document["components"]["schemas"][name] if name else schema
        if answer.get("type") == "array" or ("{" not in path and _may_be_long(answer)):
            found.append(path)
    return found


def _may_be_long(answer: Mapping[str, Any]) -> bool:
    """Whether an answer that is no array has lists in it, or nobody says what it has."""
    fields = answer.get("properties")
    if fields is None or answer.get("additionalProperties", False):
        return True
    kinds = [kind for field in fields.values() for kind in (field, *field.get("anyOf", ()))]
    return any(
        kind.get("type") == "array" or (kind.get("type") == "object" and "$ref" not in kind)
        for kind in kinds
    )
