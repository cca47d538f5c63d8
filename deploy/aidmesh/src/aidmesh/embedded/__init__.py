"""Real PostgreSQL and NATS servers from wheels, for one machine and no root."""

from aidmesh.embedded.errors import EmbeddedError, FolderInUseError, PortTakenError, StartError
from aidmesh.embedded.folder import FolderLock, in_use
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import free_ports
from aidmesh.embedded.postgres import NOT_DURABLE, PostgresServer

__all__ = [
    "NOT_DURABLE",
    "EmbeddedError",
    "FolderInUseError",
    "FolderLock",
    "NatsServer",
    "PortTakenError",
    "PostgresServer",
    "StartError",
    "free_ports",
    "in_use",
]
