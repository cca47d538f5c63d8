"""A connection to the NATS servers of a region that `mesh.json` describes, wherever they run."""

from nats.aio.client import Client

from aidmesh.credentials import seed_file
from aidmesh.meshfile import RegionEntry
from aidmesh.topology.warden import connect_as


async def connect(entry: RegionEntry, user: str) -> Client:
    """One connection, for a command that ends soon.

    Args:
        entry: whose servers.
        user: whose key to come with; the supervisor may do everything, the reader looks.

    Raises ConnectionError when no server answers, or none knows the key.
    """
    return await connect_as(entry.nats.url, seed_file(entry.keys, user), entry.nats.ca_file)
