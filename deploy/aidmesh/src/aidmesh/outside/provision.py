"""What has to be there before the servers of a region can be started by somebody else."""

from aidmesh.credentials import create_keys, is_encrypted, store_key_id
from aidmesh.meshfile import (
    NAME,
    MeshError,
    MeshFile,
    check_name,
    locked_mesh,
    read_mesh,
    write_mesh,
)
from aidmesh.outside.handing import hand_out
from aidmesh.outside.places import Places, new_entry
from aidmesh.topology.cluster import ANY_HOST
from aidmesh.topology.config import render
from aidmesh.topology.configured import write_config
from aidmesh.topology.serving import PeerEnd, Ports, Setup, read_setup


def provision(region: str, places: Places, *, encrypt: bool = False) -> MeshFile:
    """Make keys, passwords and configurations that are missing, and hand them out.

    Safe to repeat: what is there stays, and what a newer version says otherwise is taken up.

    Args:
        region: its name.
        places: the volumes.
        encrypt: have NATS encrypt what it stores, from now on.

    Raises:
        MeshError: the volumes hold another region, or one that has retired.
        KeyFileError, OSError: keys cannot be made or handed out.
    """
    check_name(region)
    with locked_mesh(places.data):
        known = (places.data / NAME).exists()
        mesh = read_mesh(places.data) if known else MeshFile(regions={})
        if known and region not in mesh.regions:
            what = ", ".join((*mesh.regions, *(f"{name} (retired)" for name in mesh.retired)))
            raise MeshError(f"{places.data} holds {what}, not {region}; name that one")
        create_keys(places.keys / region)
        fresh = new_entry(region, places)
        entry = mesh.regions.setdefault(region, fresh)
        if encrypt:
            entry.nats.store_key_id = entry.nats.store_key_id or store_key_id(entry.keys)
        write_mesh(places.data, mesh)
    hand_out(region, mesh, places)
    setup = setup_of(region, mesh, places)
    write_config(places.nats, render(setup.config), setup.files)
    return mesh


def setup_of(region: str, mesh: MeshFile, places: Places) -> Setup:
    """What the region's server is to run with now, by the copies that it is handed.

    Raises CredentialsError or OSError when a key cannot be read.
    """
    hand_out(region, mesh, places)
    entry = mesh.regions[region]
    keys = places.nats / "keys"
    return read_setup(
        region,
        keys,
        places.nats,
        Ports(
            entry.nats.client_port,
            entry.nats.monitor_port,
            entry.nats.leaf_port,
            leaf_host=entry.nats.leaf_host,
            host=ANY_HOST,
            always=True,
        ),
        {
            peer: PeerEnd(keys / "peers" / peer, mesh.dial(region, peer))
            for peer in mesh.peers(region)
        },
        store=places.store,
        encrypted=is_encrypted(region, entry.keys, entry.nats.store_key_id),
    )
