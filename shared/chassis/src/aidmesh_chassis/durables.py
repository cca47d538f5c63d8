"""The durable consumers that a service reads from, compared with what the contracts say.

A puller spins in silence when its durable vanishes, and does not notice when another filter lets
events pass by unseen; so a running service looks at them every few seconds.
"""

from collections.abc import Callable, Sequence

from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from aidmesh_contracts.consumers import (
    ACK_POLICY,
    ACK_WAIT_S,
    ACKS_PENDING_MAX,
    DELIVERIES_MAX,
    Consumer,
)

ASK_S_MAX = 2.0


class DurableMissing(LookupError):
    """A durable is not there; the message is its name."""


class DurableDiffers(LookupError):
    """A durable filters or acknowledges otherwise than agreed; the message says which and how."""


class Durables:
    """The durables of one service.

    Args:
        region: whose subjects they filter on.
        consumers: as the contracts name them.
        client: gives the connection; may raise ConnectionError.
        tell: called with a durable's name and the count of its events not acknowledged.
    """

    def __init__(
        self,
        region: str,
        consumers: Sequence[Consumer],
        client: Callable[[], Client],
        tell: Callable[[str, int], object],
    ) -> None:
        self._region = region
        self._consumers = consumers
        self._client = client
        self._tell = tell

    @property
    def names(self) -> list[str]:
        """Their names, sorted."""
        return sorted(consumer.durable for consumer in self._consumers)

    async def check(self) -> int:
        """Compare all of them with the contracts; returns how many events wait to be taken in.

        Raises:
            DurableMissing, DurableDiffers: the first that is not as it should be.
            OSError, nats.errors.Error: the server did not say.
        """
        waiting = 0
        for consumer in self._consumers:
            manager = self._client().jsm(timeout=ASK_S_MAX)
            try:
                info = await manager.consumer_info(consumer.stream.value, consumer.durable)
            except NotFoundError as error:
                raise DurableMissing(consumer.durable) from error
            found = differences(consumer, self._region, info.config)
            if found:
                raise DurableDiffers(f"{consumer.durable}: {', '.join(found)}")
            pending = (info.num_pending or 0) + (info.num_ack_pending or 0)
            self._tell(consumer.durable, pending)
            waiting += pending
        return waiting


def differences(consumer: Consumer, region: str, found: ConsumerConfig) -> list[str]:
    """Which settings of a durable are not those of the contracts. Pure."""
    # The server writes a single filter under another name.
    filters = [found.filter_subject] if found.filter_subject else found.filter_subjects or []
    pairs = {
        "filter_subjects": (sorted(filters), sorted(consumer.filter_subjects(region))),
        "ack_policy": (str(getattr(found.ack_policy, "value", found.ack_policy)), ACK_POLICY),
        "ack_wait": (found.ack_wait, ACK_WAIT_S),
        "max_deliver": (found.max_deliver, DELIVERIES_MAX),
        "max_ack_pending": (found.max_ack_pending, ACKS_PENDING_MAX),
    }
    return [name for name, (is_now, should_be) in pairs.items() if is_now != should_be]
