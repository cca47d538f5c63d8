"""Made-up links with people of other regions."""

from support.made_up.basics import at, number


def _twin(name: str, state: str, mine: str, theirs: str) -> dict[str, object]:
    return {
        "link_id": str(number(name)),
        "person_id": str(number("person")),
        "region": "lviv",
        "by": ["contact", "name"],
        "state": state,
        "mine": mine,
        "theirs": theirs,
        "found_at": at(-40),
        "changed_at": at(-20),
    }


TWINS = [
    _twin("twin found", "perhaps", "open", "yes"),
    _twin("twin said", "perhaps", "yes", "open"),
    _twin("twin linked", "linked", "yes", "yes"),
    _twin("twin refused", "refused", "no", "open"),
]
LOOKUPS = [
    {
        "lookup_id": str(number("lookup")),
        "person_id": str(number("person")),
        "to_region": "lviv",
        "status": "matched",
        "asked_at": at(-60),
        "changed_at": at(-40),
    }
]
