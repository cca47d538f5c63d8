"""What was handed over to one region: answered there, and nowhere else."""

from collections.abc import Sequence

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome


async def handoffs_arrived(probes: Sequence[RegionProbe]) -> Outcome:
    """Every handoff that counts as answered is in the inbox of the region it was for.

    Those for regions on other machines are left out: their `verify` knows them as taken in.
    """
    odd: list[str] = []
    by_name = {probe.name: probe for probe in probes}
    for probe in probes:
        for service, conn in probe.connections.items():
            rows = await conn.fetch(
                """
                SELECT to_region, array_agg(event_id) AS ids FROM handoff
                WHERE status = 'settled' AND awaits_answer AND to_region = ANY($1::text[])
                GROUP BY to_region
                """,
                list(by_name),
            )
            for row in rows:
                missing = (
                    await by_name[row["to_region"]]
                    .connections[service]
                    .fetch(
                        "SELECT unnest($1::uuid[]) AS event_id EXCEPT SELECT event_id FROM inbox",
                        row["ids"],
                    )
                )
                odd += [
                    f"{probe.name}.{service} {each['event_id']} is not in {row['to_region']}"
                    for each in missing
                ]
    return outcome(
        "mesh.handoffs_arrived",
        "every handoff that counts as answered was taken in by the region it was for",
        odd,
    )
