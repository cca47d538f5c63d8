"""What every event is: a frozen model that knows its type, stream and aggregate."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from aidmesh_contracts.streams import Stream, handoff_subject, subject


class Event(BaseModel):
    """Something that happened. Subclasses name themselves in the class line::

        class NeedReadyV1(Event, type="intake.need.ready.v1", stream=Stream.LOCAL, key="need_id"):
            need_id: NeedId

    Within a version only optional fields may be added; readers ignore what they do not know.

    Attributes:
        type: `<producer>.<aggregate>.<event>.v<N>`, the CloudEvents type and the subject's end.
        stream: which stream of the producing region holds it; HANDOFF is the receiver's.
        key: the field with the id of the aggregate it speaks of.
    """

    # Built when first read or written: a process meets few of all events.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

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
    def subject(cls, region: str, to_region: str | None = None) -> str:
        """The subject it has when `region` publishes it; `to_region` is for handoffs alone.

        Raises:
            ValueError: a handoff that goes nowhere, or another event that is addressed.
        """
        if (cls.stream is Stream.HANDOFF) != (to_region is not None):
            raise ValueError(f"{cls.type} is in {cls.stream}, and to_region is {to_region}")
        if to_region is not None:
            return handoff_subject(to_region, region, cls.type)
        return subject(cls.stream, region, cls.type)
