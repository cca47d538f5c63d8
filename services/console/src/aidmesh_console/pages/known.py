"""Whether somebody who is known by their code is whom a form describes. No I/O.

A request never rewrites what is known of a person: what a form says of somebody else would be filed
under them, and what it says anew of them would be lost. So the desk asks before it enters it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from aidmesh_console.clients.intake_views import Details, Person

DESCRIBING: Final = (
    "chosen_name", "legal_name", "birth_year", "languages", "area", "origin_area", "contact",
    "consents",
)  # fmt: skip
"""What a request may say of a person beside the codes that find them."""
_APOSTROPHES: Final = re.compile("[\u2019\u02bc`\u00b4]")
_PHONE: Final = re.compile(r"\+?[0-9 ()\u00a0.-]+")


def unlike(said: Mapping[str, Any], known: Person) -> tuple[str, ...]:
    """What a form says of a person that is not known of them, by the keys of its texts.

    Args:
        said: the person of a request, as intake takes it; what was left empty is not in it.
    """
    details = known.details
    alike = {
        "chosen_name": _alike(said, details, "chosen_name"),
        "legal_name": _alike(said, details, "legal_name"),
        "birth_year": _alike(said, details, "birth_year"),
        "language_spoken": set(said.get("languages") or ()) <= set(known.languages),
        "stay_area": said.get("area") in {None, known.area},
        "origin_area": said.get("origin_area") in {None, known.origin_area},
        "contact_address": _same_address(said, details),
        "register.consents": set(said.get("consents") or ()) <= set(known.consents),
    }
    return tuple(word for word, is_so in alike.items() if not is_so)


def _alike(said: Mapping[str, Any], details: Details, name: str) -> bool:
    found = getattr(details, name)
    return name not in said or (
        found is not None and _plain(str(said[name])) == _plain(str(found.reveal()))
    )


def _same_address(said: Mapping[str, Any], details: Details) -> bool:
    contact = said.get("contact")
    return contact is None or (
        details.contact is not None
        and _plain(contact["address"]) == _plain(details.contact.address.reveal())
    )


def _plain(text: str) -> str:
    """A text without what two people write differently: case, blanks, apostrophes."""
    if _PHONE.fullmatch(text):
        return "".join(each for each in text if each.isdigit())
    return " ".join(_APOSTROPHES.sub("'", text).casefold().split())
