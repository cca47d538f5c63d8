"""Where a message can go: the forms of an e-mail address and of a phone number.

Checked where somebody types them in: what reaches nobody, or a stranger, would be noticed only when
a message is due. Whether anybody reads there no form can tell.
"""

import re

from pydantic_core import PydanticCustomError

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"(?P<local>{_LOCAL})@(?:{_LABEL}\.)+(?![0-9]+$){_LABEL}")
_EMAIL_CHARS_MAX = 254
_LOCAL_CHARS_MAX = 64
_BETWEEN_DIGITS = re.compile(r"[\s().\-\u2010-\u2015]")
_PHONE = re.compile(r"\+[1-9][0-9]{7,14}")


def email_of(text: str) -> str | None:
    """An e-mail address as it is kept, without blanks around it; None if it has not its form.

    That is a dot-atom of RFC 5322, in ASCII, at a domain of two labels or more.
    """
    address = text.strip()
    match = _EMAIL.fullmatch(address)
    if match is None or len(address) > _EMAIL_CHARS_MAX or len(match["local"]) > _LOCAL_CHARS_MAX:
        return None
    return address


def phone_of(text: str) -> str | None:
    """A phone number as E.164 writes it, such as +380671234567; None if it has not its form.

    Blanks, dashes, dots and brackets are dropped, and `00` is `+`. The country is never guessed:
    the same digits are somebody else's number in another one.
    """
    number = _BETWEEN_DIGITS.sub("", text)
    if number.startswith("00"):
        number = "+" + number[2:]
    return number if _PHONE.fullmatch(number) else None


def checked(channel: str | None, text: str) -> str:
    """The address of a contact as it is kept.

    Args:
        channel: `email` or `sms`; addresses of any other one are not looked at.
        text: as it was entered.

    Raises:
        PydanticCustomError: it has not the form that the channel asks for.
    """
    match channel:
        case "email":
            address = email_of(text)
            rule, form = "not_an_email_address", "an e-mail address, such as name@example.org"
        case "sms":
            address = phone_of(text)
            rule, form = "not_a_phone_number", "a number with + and its country, 8 to 15 digits"
        case _:
            return text
    if address is None:
        raise PydanticCustomError(rule, form)
    return address
