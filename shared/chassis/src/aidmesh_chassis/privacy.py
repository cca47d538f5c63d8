"""Values that hide themselves.

A `Hidden` shows as `***` wherever a value may leak by accident: str, repr, format, JSON, logs.
`reveal()` gives the value, so every place that shows personal data can be searched for.
Pydantic validates the plain value into the class; serialization gives `***`, or the value when
the caller asks with the context `REVEAL`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Generic, NoReturn, Self, TypeVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

MASK: Final = "***"
REVEAL: Final[Mapping[str, bool]] = {"reveal": True}
"""Context for `model_dump(context=REVEAL)` where a person may see the data."""

T = TypeVar("T")


class Hidden(Generic[T]):
    """A value of type T that does not show itself. Immutable; compares by value.

    Subclasses say in `inner` which type pydantic validates the plain value against. Whatever
    error that gives names the field and the rule; `problems` never repeats the input.
    """

    __slots__ = ("_value",)
    inner: ClassVar[Any]

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._value == self._value

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("Hidden values are not pickled.")

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def validate(value: object, inner: core_schema.ValidatorFunctionWrapHandler) -> object:
            return value if isinstance(value, cls) else cls(inner(value))

        return core_schema.no_info_wrap_validator_function(
            validate,
            handler.generate_schema(cls.inner),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        inner = schema["schema"] if schema["type"] == "function-wrap" else schema
        return {**handler.resolve_ref_schema(handler(inner)), "x-personal": True}


def _serialize(value: Hidden[object], info: core_schema.SerializationInfo) -> object:
    context = info.context
    if isinstance(context, Mapping) and context.get("reveal") is True:
        return value.reveal()
    return MASK


class PersonalText(Hidden[str]):
    """A name, a phone number, a note: 1 to 4,000 characters, trimmed."""

    __slots__ = ()
    inner = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class PersonalYear(Hidden[int]):
    """A year that says something about a person, such as the year of birth."""

    __slots__ = ()
    inner = Annotated[int, Field(ge=1900, le=2100)]
