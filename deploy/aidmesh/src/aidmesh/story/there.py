"""What is said of a need that waits though there is some of what it waits for: pure."""

from typing import Final, cast

from aidmesh.story.told import Json

WOKEN_BY_MORE: Final = frozenset({"short", "behind", "restricted"})
"""It waits for more to come, rather than for an answer, a site or its own time."""
GROWING: Final = (
    "what came wakes it as soon as intake takes it in: aidmesh status says how far intake is, "
    "aidmesh dead list what it could not handle"
)
ENOUGH: Final = (
    "what is there already wakes nobody: it may be kept for who waits before it (desk: Needs), and "
    "if nobody does, goods that are taken in or moved there wake it (desk: Stock)"
)


def there(need: Json, free: int, *, is_growing: bool) -> tuple[str, str]:
    """What there is by now of that which a need waits for, and who does what about that.

    Args:
        need: its row in intake.
        free: pieces of its item that one site has.
        is_growing: more of it came, and intake has not taken that in.
    """
    if need["wait"] not in WOKEN_BY_MORE:
        return "", ""
    if is_growing:
        return "; more of it came since, and intake has not taken that in", GROWING
    if free == 0 or need["blocked_resource"] != "stock":
        return "", ""
    wanted = cast("int", need["blocked_quantity"])
    if free < wanted:
        return f"; one site there has {free} of the {wanted} that it needs", ""
    return f"; one site there has {free}, and it needs {wanted}", ENOUGH
