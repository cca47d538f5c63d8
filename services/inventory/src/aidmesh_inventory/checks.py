"""What must hold in inventory's books; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "stock_conserved",
        "what a lot has on hand is what came in minus what went out",
        """
        SELECT format('lot %s: on hand %s, movements %s', l.id, l.on_hand, COALESCE(m.total, 0))
        FROM lot l
        LEFT JOIN (SELECT lot_id, sum(quantity) AS total FROM movement GROUP BY lot_id) m
               ON m.lot_id = l.id
        WHERE l.on_hand <> COALESCE(m.total, 0)
        """,
    ),
    Check(
        "stock_held_by_reservations",
        "what a lot holds is what live reservations were given of it",
        """
        SELECT format('lot %s: held %s, allocated %s', l.id, l.held, COALESCE(a.total, 0))
        FROM lot l
        LEFT JOIN (
            SELECT a.lot_id, sum(a.quantity) AS total FROM allocation a
            JOIN reservation r ON r.id = a.reservation_id
            WHERE r.state IN ('held', 'confirmed') GROUP BY a.lot_id
        ) a ON a.lot_id = l.id
        WHERE l.held <> COALESCE(a.total, 0)
        """,
    ),
    Check(
        "stock_issued_by_reservations",
        "what left a lot for a reservation is what the reservation was given, once",
        """
        SELECT format('reservation %s, lot %s: moved %s, issued %s', reservation_id, lot_id,
                      COALESCE(m.total, 0), COALESCE(a.issued, 0))
        FROM (
            SELECT a.reservation_id, a.lot_id,
                   CASE WHEN r.state = 'issued' THEN a.quantity ELSE 0 END AS issued
            FROM allocation a JOIN reservation r ON r.id = a.reservation_id
        ) a
        FULL JOIN (
            SELECT reservation_id, lot_id, -sum(quantity) AS total FROM movement
            WHERE reservation_id IS NOT NULL GROUP BY 1, 2
        ) m USING (reservation_id, lot_id)
        WHERE COALESCE(m.total, 0) <> COALESCE(a.issued, 0)
        """,
    ),
    Check(
        "stock_told_right",
        "what other regions are told of free stock is what the lots say",
        """
        SELECT format('%s at %s: told %s on hand and %s free, lots %s and %s', item, site_id,
                      s.on_hand, s.free, COALESCE(l.on_hand, 0), COALESCE(l.free, 0))
        FROM stock_state s
        FULL JOIN (SELECT site_id, item, sum(on_hand) AS on_hand,
                          sum(on_hand - held) FILTER (WHERE status = 'available') AS free
                   FROM lot GROUP BY 1, 2) l
               USING (site_id, item)
        WHERE (COALESCE(s.on_hand, 0), COALESCE(s.free, 0))
              <> (COALESCE(l.on_hand, 0), COALESCE(l.free, 0))
        """,
    ),
    Check(
        "no_bed_double_booked",
        "no bed has two guests in one night",
        """
        WITH booked AS (
            SELECT b.reservation_id, b.bed_id, b.stay
            FROM bed_booking b JOIN reservation r ON r.id = b.reservation_id
            WHERE r.state IN ('held', 'confirmed', 'issued')
        )
        SELECT format('bed %s: reservations %s and %s', a.bed_id, a.reservation_id,
                      b.reservation_id)
        FROM booked a
        JOIN booked b ON b.bed_id = a.bed_id AND b.reservation_id > a.reservation_id
                     AND b.stay && a.stay
        """,
    ),
    Check(
        "slot_seats_counted",
        "the seats taken in a slot are those of the reservations that have it",
        """
        SELECT format('slot %s: taken %s, booked %s', s.id, s.taken, COALESCE(b.seats, 0))
        FROM slot s
        LEFT JOIN (SELECT b.slot_id, sum(b.seats) AS seats
                   FROM slot_booking b JOIN reservation r ON r.id = b.reservation_id
                   WHERE r.state IN ('held', 'confirmed', 'issued') GROUP BY 1) b
               ON b.slot_id = s.id
        WHERE s.taken <> COALESCE(b.seats, 0)
        """,
    ),
    Check(
        "holds_expire",
        "no hold outlives its time by more than a sweep",
        """
        SELECT format('reservation %s held until %s', id, hold_until) FROM reservation
        WHERE state = 'held' AND hold_until < now() - interval '60 seconds'
        """,
    ),
)
