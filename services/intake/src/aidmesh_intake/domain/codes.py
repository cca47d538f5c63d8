"""What makes two spellings one code."""

import re
import unicodedata
from typing import Final

_LOOK_ALIKE: Final = str.maketrans("авеікмнорстухјѕ", "abeikmhopctyxjs")
"""Small Cyrillic letters whose capitals look like Latin ones: on a card nobody tells them apart."""
_DASHES: Final = re.compile("[\u2010-\u2015\u2212]")


def plain_code(text: str) -> str:
    """Return a code as it is compared: by what it looks like on a card, not by how it was typed.

    Case, the keyboard's language, kinds of dashes, spaces, and how letters are composed (Unicode
    Standard Annex 15) make no other code.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    alike = _DASHES.sub("-", folded).translate(_LOOK_ALIKE)
    return " ".join(unicodedata.normalize("NFC", alike).split())
