"""What every event is: a frozen model that knows its type, stream and aggregate."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from aidmesh_contracts.streams import Stream, subject


class Event(BaseModel):
    """Something that happened. Subclasses name themselves in the class line::

        class NeedReadyV1(Event, type="intake.need.ready.v1", stream=Stream.LOCAL, key="need_id"):
            need_id: NeedId

    Within a version only optional fields may be added; readers ignore what they do not know.

    Attributes:
        type: `<producer>.<aggregate>.<event>.v<N>`, the CloudEvents type and the subject's end.
        stream: which stream of the producing region holds it.
        key: the field with the id of the aggregate it speaks of.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    stream: ClassVar[Stream]
    key: ClassVar[str]

    def __init_subclass__(cls, *, type: str, stream: Stream, key: str) -> None:  # noqa: A002
        """Record the three names; pydantic sees none of them."""
        super().__init_subclass__()
        cls.type, cls.stream, cls.key = type, stream, key

    @property
    def aggregate_id(self) -> UUID | str:
        """The id of the aggregate this event speaks of."""
        value: UUID | str = getattr(self, self.key)
        return value

    @classmethod
    def producer(cls) -> str:
        """The service that publishes it."""
        return cls.type.split(".", 1)[0]

    @classmethod
    def subject(cls, region: str) -> str:
        """The subject it has when `region` publishes it."""
        return subject(cls.stream, region, cls.type)
