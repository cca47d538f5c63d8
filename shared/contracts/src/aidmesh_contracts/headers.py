"""Names of columns in files that people send, as they are compared."""

from unicodedata import normalize


def tidy(name: str) -> str:
    """A name with capitals, blanks, and the ways to write a letter or an apostrophe aside."""
    return " ".join(normalize("NFC", name).split()).replace("’", "'").casefold()
