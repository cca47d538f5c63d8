"""The catalogue of kinds of need, as intake has it: one kind whole, and changed."""

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Refused

KindBody = Mapping[str, JsonValue]
"""A kind as intake has it, with fields that the desk does not know."""
_BODY: Final[TypeAdapter[KindBody]] = TypeAdapter(Mapping[str, JsonValue])


async def add(link: Link, kind: KindBody) -> bool:
    """Enter a new kind; False if its code names another one. Raises `ClientError`."""
    path = f"/v1/kinds/{kind['code']}"
    try:
        await link.put(path, ACCEPTED, {**kind, "version": 1})
    except Refused as error:
        if error.slug != "conflict":
            raise
        # Where there was no answer to the first try, the same is there already.
        found = await link.get(path, _BODY)
        return holds(found, kind)
    return True


async def change(
    link: Link, code: str, version: int, changed: Callable[[KindBody], KindBody]
) -> None:
    """Change a kind that nobody else changed since `version`; what is so already is left.

    Args:
        changed: makes the kind that is wanted of the one that there is.

    Raises:
        ClientError: somebody did, or intake does not answer.
    """
    path = f"/v1/kinds/{code}"
    now = await link.get(path, _BODY)
    wanted = changed(now)
    if wanted != now:
        await link.put(path, ACCEPTED, {**wanted, "version": version + 1})


def holds(found: JsonValue | KindBody, said: JsonValue | KindBody) -> bool:
    """Whether what was found has all that was said, whatever else it has."""
    if isinstance(found, Mapping) and isinstance(said, Mapping):
        return all(name in found and holds(found[name], each) for name, each in said.items())
    if isinstance(found, list) and isinstance(said, list):
        return len(found) == len(said) and all(map(holds, found, said))
    return found == said
