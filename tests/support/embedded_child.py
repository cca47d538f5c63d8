"""Run by tests as a process of its own: starts servers, says so, waits to be ended somehow.

Arguments: the folder for data; then one line of JSON is printed with the processes it began.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from aidmesh.credentials import new_seed
from aidmesh.embedded.folder import FolderLock
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import free_ports
from aidmesh.embedded.postgres import NOT_DURABLE, PostgresServer
from aidmesh.topology.config import RegionServer, render
from aidmesh.topology.rights import SUPERVISOR, SYSTEM
from aidmesh_chassis.nkey import nkey_of


def main(folder: Path) -> None:
    """Start both servers."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also below a shell that ignores it
    lock = FolderLock(folder)
    lock.acquire()
    database_port, client_port, monitor_port = free_ports(3)
    postgres = PostgresServer(
        folder / "postgres", database_port, "secret", NOT_DURABLE, keep_fds=(lock.fd,)
    )
    config = RegionServer(
        region="kyiv",
        client_port=client_port,
        monitor_port=monitor_port,
        store_dir=str(folder / "jetstream"),
        publics={user: (nkey_of(new_seed()).public,) for user in (SUPERVISOR, SYSTEM)},
    )
    nats = NatsServer(
        folder / "nats",
        render(config),
        (client_port, monitor_port),
        monitor_port,
        keep_fds=(lock.fd,),
    )
    postgres.start()
    nats.start()
    started = {"postgres": postgres.pid, "nats": nats.pid, "uid": os.getuid()}
    print(json.dumps(started), flush=True)  # noqa: T201
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
