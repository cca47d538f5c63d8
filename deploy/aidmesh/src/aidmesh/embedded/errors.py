"""What can go wrong with an embedded server, in words for the person at the terminal.

EmbeddedError
├── FolderInUseError   another running mesh holds the data folder
├── PortTakenError     another program listens on a port this server needs
└── StartError         the server did not become ready in time; its last lines are in the message
"""


class EmbeddedError(Exception):
    """A server could not be prepared, started or stopped."""


class FolderInUseError(EmbeddedError):
    """Another running mesh holds the data folder."""


class PortTakenError(EmbeddedError):
    """Another program listens on a port this server needs."""


class StartError(EmbeddedError):
    """The server did not become ready in time."""
