"""What routes answer, as their OpenAPI document says it."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from aidmesh_chassis.privacy import REVEAL

_REFERENCE = "#/components/schemas/"


def untyped_answers(app: FastAPI) -> list[str]:
    """GETs under /v1 of which the document does not say what they answer, and where it stops.

    An object names its fields, or says what the values of a mapping are; an array says of what.
    A file is text of some kind.
    """
    document = app.openapi()
    schemas = document.get("components", {}).get("schemas", {})
    found: list[str] = []
    for path, item in document["paths"].items():
        if "get" not in item or not path.startswith("/v1/"):
            continue
        contents = item["get"]["responses"]["200"].get("content", {})
        places = [
            place
            for content in contents.values()
            for place in _untyped(content.get("schema", {}), schemas, "", set())
        ]
        if places or not contents:
            found.append(" ".join([path, *places]).strip())
    return found


def _untyped(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], place: str, seen: set[str]
) -> Iterator[str]:
    """The places in a schema that say nothing of what stands there."""
    name = str(schema.get("$ref", "")).removeprefix(_REFERENCE)
    if name:
        if name not in seen:
            seen.add(name)
            yield from _untyped(schemas[name], schemas, name, seen)
        return
    either = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    parts = {
        **{f"{place}.{field}": part for field, part in schema.get("properties", {}).items()},
        **{f"{place}[{at}]": part for at, part in enumerate(schema.get("prefixItems", ()))},
    }
    for kind, more in (("array", "items"), ("object", "additionalProperties")):
        told = schema.get(more)
        if schema.get("type") == kind and (told or not parts):
            parts[f"{place}[]"] = told if isinstance(told, dict) else {}
    if not either and not parts and not schema.keys() & {"type", "enum", "const"}:
        yield place or "all of it"
    for part in either:
        yield from _untyped(part, schemas, place, seen)
    for at, part in parts.items():
        yield from _untyped(part, schemas, at, seen)


def as_told(app: FastAPI) -> Callable[[httpx.Response], Awaitable[None]]:
    """For `event_hooks` of a client: every answer has just the fields, values and forms declared.

    It reads the answer by its route's model and writes it anew: what the model does not know, or
    knows under another name or form, is then another answer; a field that has a default may be
    left out. This holds for routes, too, whose answers FastAPI does not look at since they make
    the response themselves.
    """
    routes = [route for route in app.routes if isinstance(route, APIRoute)]

    async def look(response: httpx.Response) -> None:
        request = response.request
        model = _model(routes, request.method, request.url.path)
        if response.status_code >= 300 or model is None:
            return
        answer = json.loads(await response.aread())
        adapter = _adapter(model)
        read = adapter.validate_json(response.content)
        written = adapter.dump_json(read, by_alias=True, exclude_unset=True, context=dict(REVEAL))
        again = json.loads(written)
        assert again == answer, f"{request.method} {request.url.path} is not as declared"

    return look


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    """One for all tests: to make it takes longer than what it is used for."""
    return TypeAdapter(model)


def _model(routes: list[APIRoute], method: str, path: str) -> Any:
    """What the route that takes a request declares as its answer; None where it declares none."""
    for route in routes:
        if method in (route.methods or ()) and route.path_regex.match(path):
            return getattr(route, "response_model", None)
    return None
