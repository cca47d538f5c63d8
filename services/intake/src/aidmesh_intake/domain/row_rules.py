"""Which rules a row of an import can break, by codes of our own.

What pydantic calls an error changes with pydantic; what programs and the desk read must not.
"""

from collections.abc import Mapping
from typing import Final

from aidmesh_contracts.days import OUT_OF_RANGE

_BY_TYPE: Final[Mapping[str, str]] = {
    "missing": "missing",
    "string_too_short": "missing",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "greater_than": "too_small",
    "greater_than_equal": "too_small",
    "less_than": "too_large",
    "less_than_equal": "too_large",
    "literal_error": "not_one_of_the_words",
    "bool_parsing": "not_yes_or_no",
    "extra_forbidden": "unknown",
}
_BY_BEGINNING: Final[Mapping[str, str]] = {
    "int_": "not_a_whole_number",
    "date_": "not_a_day",
    "datetime_": "not_a_moment",
    "timezone_": "not_a_moment",
    "uuid_": "unknown_site",
}
_BY_COLUMN: Final[Mapping[str, str]] = {
    "area": "not_an_area",
    "origin_area": "not_an_area",
    "place_area": "not_an_area",
    "contact_hours": "not_hours",
    "languages": "not_a_language",
}
"""Of a text that has to look in some way; what is none of these is a code."""

_OF_SEVERAL_COLUMNS: Final[Mapping[str, str]] = {
    "channel_and_address": "contact_address",
    "safe_needs_channel_hours_and_wording": "contact_safe",
    "payee_needs_mechanism_and_name": "payee_name",
    "household_code_missing": "household_code",
    "code_or_name_missing": "client_code",
    "site_id_missing": "site_id",
    "iban_goes_with_mechanism": "payee_iban",
    "iban_check_digits": "payee_iban",
    "card_goes_with_mechanism": "payee_card",
    "card_check_digit": "payee_card",
    "post_needs_address": "payee_address",
}
"""Rules about more than one column, and the one to look at first."""

NAMES_A_PERSON: Final = "names_a_person"
"""Of a row for a group or a site; it says itself in which column."""

OF_ROWS: Final = frozenset(
    {
        *_BY_TYPE.values(),
        *_BY_BEGINNING.values(),
        *_BY_COLUMN.values(),
        *_OF_SEVERAL_COLUMNS,
        NAMES_A_PERSON,
        OUT_OF_RANGE,
        "hours_are_equal",
        "not_a_code",
        "not_a_phone_number",
        "not_an_email_address",
        "unfit",
    }
)
"""What a row can break by itself."""

OF_REQUESTS: Final = frozenset(
    {
        "before_from_on",
        "before_the_first_day",
        "changed_since_it_was_imported",
        "goes_with_groups",
        "in_the_future",
        "missing",
        "no_longer_offered",
        "not_after_from_on",
        "not_of_this_kind",
        "only_for_given_aid",
        "other_household",
        "out_of_range",
        "price_is_fixed",
        "too_late",
        "unknown",
    }
)
"""What a row can break by what is known besides it: its kind, the day, and rows before it."""


def rule_of(error_type: str, column: str) -> str:
    """The code of a rule.

    Args:
        error_type: what pydantic calls it, or a rule of the row's own.
        column: where it is broken.
    """
    if error_type in OF_ROWS:
        return error_type
    if error_type == "string_pattern_mismatch":
        return _BY_COLUMN.get(column, "not_a_code")
    for beginning, rule in _BY_BEGINNING.items():
        if error_type.startswith(beginning):
            return rule
    return _BY_TYPE.get(error_type, "unfit")


def column_of(rule: str, said: Mapping[str, str]) -> str:
    """The column of a rule about several; `row` if that is none of them.

    Args:
        said: what the rule says itself of where it is broken.
    """
    if rule == NAMES_A_PERSON:
        return said["column"]
    return _OF_SEVERAL_COLUMNS.get(rule, "row")
