"""What must hold in reporting's read models; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "people_only_where_served",
        "no person is counted for a service that is not there",
        """
        SELECT format('need %s service %s', p.need_id, p.service_no) FROM service_person p
        LEFT JOIN service s USING (need_id, service_no) WHERE s.need_id IS NULL
        """,
    ),
)
