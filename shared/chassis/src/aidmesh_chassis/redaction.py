"""Takes personal data out of what is about to be logged.

A net below the rule that nobody logs personal data: `Hidden` values, keys that name personal
things, and text that looks like a phone number, an e-mail address, an account or card number or
a credential become `***`. Text of exceptions and libraries loses everything in quotes besides,
because "invalid input: 'Olena'" follows no pattern. Depth, items and lengths are bounded.
"""

import re
import traceback
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from types import TracebackType
from typing import Final, TypeAlias
from uuid import UUID

from pydantic import ValidationError

from aidmesh_chassis.privacy import MASK, Hidden

Loggable: TypeAlias = "bool | int | float | str | list[Loggable] | dict[str, Loggable] | None"

TEXT_CHARS_MAX: Final = 2000
ITEMS_MAX: Final = 50
DEPTH_MAX: Final = 4
FRAMES_MAX: Final = 20
CAUSES_MAX: Final = 3

_DENIED: Final = frozenset(
    {
        "name", "names", "first_name", "last_name", "full_name", "chosen_name", "legal_name",
        "payee_name", "client_code", "code_elsewhere", "household_code", "phone", "phones",
        "telephone", "mobile", "msisdn", "email", "emails", "mail", "contact", "contacts",
        "recipient", "address", "street", "iban", "card", "pan", "tax_number", "payee_card",
        "payee_tax_number", "birth_year", "birth_date", "date_of_birth", "note", "notes",
        "comment", "text", "body", "payload", "token", "password", "passphrase", "secret",
        "authorization", "cookie", "set_cookie", "api_key", "master_key", "private_key", "dsn",
        "client_ip", "remote_addr",
    }
)  # fmt: skip
_DENIED_ENDS: Final = (
    "_phone", "_email", "_contact", "_address", "_iban", "_token", "_password", "_passphrase",
    "_secret", "_note", "_notes",
)  # fmt: skip

_PERSONAL: Final = re.compile(
    r"""
    (?P<credential> (?<=://)[^/\s:@]+:[^/\s@]+(?=@)        # user:password in an address
      | eyJ[\w-]{8,}\.[\w-]+\.[\w-]+                        # a JWT
      | (?i:bearer)\s+[\w.~+/=-]{8,} )
    | (?P<email> [\w.%+'-]+@[\w-]+(?:\.[\w-]+)+ )
    | (?P<iban> (?<!\w)[A-Z]{2}\d{2}(?:[\s-]?[A-Z0-9]){11,30}(?!\w) )
    | (?P<iban_small> (?<!\w)[a-z]{2}\d{2}[a-z0-9]{11,30}(?!\w) )
    | (?P<card> (?<![\w-])\d{4}([ -]?)\d{4}\6\d{4}\6\d{4}(?![\w-]) )
    | (?P<phone> (?<![\w.])\+\d(?:[\s().-]{0,2}\d){6,14}(?!\d)  # E.164, however it is grouped
      | (?<![\w.-])(?:00)?380(?:[\s()-]{0,2}\d){9}(?![\w-])     # Ukrainian, without the plus
      | (?<![\w.-])\(?0\d{2}\)?(?:[\s-]?\d){7}(?![\w-]) )
    """,
    re.VERBOSE,
)
# Most text is short and harmless; this finds out cheaply.
_SUSPECT: Final = re.compile(r"@|\d{4}|\d[\s()-]+\d|eyJ|[Bb]earer")
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|«[^»]*»|“[^”]*”", re.DOTALL)


def redact_text(text: str) -> str:
    """`text` with whatever looks like personal data or a credential replaced."""
    if len(text) > TEXT_CHARS_MAX:
        text = text[:TEXT_CHARS_MAX] + "…"
    if _SUSPECT.search(text) is None or _ID.fullmatch(text):
        return text
    return _PERSONAL.sub(_replacement, text)


def redact_foreign_text(text: str) -> str:
    """As `redact_text`, for words that are not ours: what stands in quotes goes too."""
    return redact_text(_QUOTED.sub(f"'{MASK}'", text[: 2 * TEXT_CHARS_MAX]))


def _replacement(match: re.Match[str]) -> str:
    found = match.group(0)
    # Lower-case hexadecimal ids can look like an account number, long numbers like a card's.
    if match.lastgroup == "iban_small" and not _is_iban(found):
        return found
    if match.group("card") and not _passes_luhn(found):
        return found
    return MASK


def _is_iban(text: str) -> bool:
    """The check of ISO 13616 (modulo 97)."""
    turned = (text[4:] + text[:4]).upper()
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _passes_luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()][::-1]
    doubled = (digit * 2 for digit in digits[1::2])
    return (sum(digits[::2]) + sum(digit // 10 + digit % 10 for digit in doubled)) % 10 == 0


@lru_cache(maxsize=1024)
def _key_shown(key: str) -> str:
    return redact_text(key)


@lru_cache(maxsize=1024)
def is_denied(key: str) -> bool:
    """Whether a key names something personal or secret."""
    plain = key.lower().replace("-", "_")
    return plain in _DENIED or plain.endswith(_DENIED_ENDS)


def redact(value: object, depth: int = 0) -> Loggable:
    """`value` as it may be written to a log; unknown objects show only their class."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return redact_text(value.value if isinstance(value, Enum) else value)
    if isinstance(value, int):
        return MASK if 380_000_000_000 <= value < 381_000_000_000 else int(value)
    if isinstance(value, Hidden):
        return MASK
    if isinstance(value, UUID | Decimal | date | datetime | time | timedelta):
        return str(value)
    if isinstance(value, Enum):
        return redact(value.value, depth)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {exception_text(value)}"
    if isinstance(value, PurePath):
        return redact_text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= DEPTH_MAX:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return redact_mapping(value, depth + 1)
    if isinstance(value, Sequence | set | frozenset):
        shown = [redact(item, depth + 1) for item, _ in zip(value, range(ITEMS_MAX), strict=False)]
        return shown if len(value) <= ITEMS_MAX else [*shown, f"… {len(value) - ITEMS_MAX} more"]
    return f"<{type(value).__name__}>"


def redact_mapping(values: Mapping[object, object], depth: int = 0) -> dict[str, Loggable]:
    """All of a mapping: denied keys masked, the rest by `redact`."""
    shown: dict[str, Loggable] = {}
    for key, value in values.items():
        if len(shown) == ITEMS_MAX:
            shown["…"] = len(values) - ITEMS_MAX
            break
        text = str(key)
        shown[_key_shown(text)] = MASK if is_denied(text) else redact(value, depth)
    return shown


def exception_text(error: BaseException) -> str:
    """What may be told of an exception's message.

    Database errors quote values and keys, pydantic's repeat the input: of these only codes and
    names are told. Our own messages are written without personal data; others lose quotes.
    """
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        named = (
            f"{part}={found}"
            for part in ("table_name", "column_name", "constraint_name")
            if (found := getattr(error, part, None))
        )
        return " ".join([f"sqlstate={state}", *named])
    if isinstance(error, ValidationError):
        kinds = sorted({each["type"] for each in error.errors(include_input=False)})
        return f"{error.error_count()} rejected in {error.title}: {', '.join(kinds)}"
    if type(error).__module__.startswith("fastapi"):
        return ""
    if type(error).__module__.startswith("aidmesh"):
        return redact_text(str(error))
    return redact_foreign_text(str(error))


def exception_fields(error: BaseException) -> dict[str, Loggable]:
    """An exception for the log: type, message, where, and the causes; no local values."""
    fields: dict[str, Loggable] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    if message := exception_text(error):
        fields["message"] = message
    fields["at"] = [*_frames(error.__traceback__)]
    if notes := getattr(error, "__notes__", None):
        fields["notes"] = [redact_foreign_text(str(note)) for note in notes[:CAUSES_MAX]]
    causes: list[Loggable] = []
    if isinstance(error, BaseExceptionGroup):
        causes.extend(
            {
                "type": type(inner).__qualname__,
                "message": exception_text(inner),
                "at": [*_frames(inner.__traceback__)],
            }
            for inner in error.exceptions[:CAUSES_MAX]
        )
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(causes) < CAUSES_MAX:
        causes.append({"type": type(cause).__qualname__, "message": exception_text(cause)})
        cause = cause.__cause__
    if causes:
        fields["causes"] = causes
    return fields


def _frames(trace: TracebackType | None) -> list[str]:
    """The innermost places of a traceback: file, line, function; no source, no values."""
    frames = [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-2:])}:{line} "
        f"{frame.f_code.co_qualname}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return frames[-FRAMES_MAX:]
