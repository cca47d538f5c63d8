"""Whether anybody runs the mesh: without that nothing that ends is started again."""

from pathlib import Path
from typing import Final

from aidmesh.doctor.findings import Finding
from aidmesh.embedded.folder import Holder, holder_of
from aidmesh.meshfile import MeshFile

SILENT_S_MAX: Final = 60.0


def supervised(data: Path, mesh: MeshFile) -> list[Finding]:
    """What is wrong with the process that started the servers of a data folder, if they lie here.

    Args:
        data: folder of the mesh.
        mesh: its regions.
    """
    if all(entry.is_elsewhere for entry in mesh.regions.values()):
        return []
    return [] if (found := finding_of(data, holder_of(data))) is None else [found]


def finding_of(data: Path, holder: Holder | None) -> Finding | None:
    """What a holder of a folder means. Pure; None where all is well."""
    if holder is None:
        return Finding("error", "mesh", f"the mesh in {data} does not run",
                       "Nothing of it works on this machine; what is said of its parts follows "
                       "from that.",
                       f"Start it as it was started: aidmesh up --data {data}, or systemctl start "
                       "aidmesh.")  # fmt: skip
    if not holder.lives:
        return Finding("error", "mesh", f"the process that ran the mesh in {data} has ended",
                       "What it had started is ending too; nothing that ends is started again.",
                       f"Start it anew: aidmesh up --data {data}, or systemctl start "
                       "aidmesh.")  # fmt: skip
    if holder.silent_s > SILENT_S_MAX:
        return Finding("error", "mesh",
                       f"process {holder.pid}, which runs the mesh in {data}, has shown no sign of "
                       f"life for {holder.silent_s:.0f} s",
                       "Services go on, but nothing that ends is started again, and after a break "
                       "of NATS nothing leaves the region.",
                       f"Is it stopped (kill -CONT {holder.pid})? If it hangs, end it "
                       f"(kill {holder.pid}) and start it anew: aidmesh up --data {data}, or "
                       "systemctl restart aidmesh.")  # fmt: skip
    return None
