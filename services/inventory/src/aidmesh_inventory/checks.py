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
        SELECT format('reservation %s, lot %s: moved %s, issued %s', r.id, a.lot_id,
                      COALESCE(m.total, 0), CASE WHEN r.state = 'issued' THEN a.quantity ELSE 0 END)
        FROM reservation r
        JOIN allocation a ON a.reservation_id = r.id
        LEFT JOIN (
            SELECT reservation_id, lot_id, -sum(quantity) AS total FROM movement
            WHERE reservation_id IS NOT NULL GROUP BY reservation_id, lot_id
        ) m ON m.reservation_id = r.id AND m.lot_id = a.lot_id
        WHERE r.way = 'handover'
          AND COALESCE(m.total, 0) <> CASE WHEN r.state = 'issued' THEN a.quantity ELSE 0 END
        """,
    ),
    Check(
        "stock_told_right",
        "what other regions are told of free stock is what the lots say",
        """
        SELECT format('%s at %s: told %s on hand and %s free, lots %s and %s', s.item, s.site_id,
                      s.on_hand, s.free, COALESCE(l.on_hand, 0), COALESCE(l.free, 0))
        FROM stock_state s
        LEFT JOIN (SELECT site_id, item, sum(on_hand) AS on_hand,
                          sum(on_hand - held) FILTER (WHERE status = 'available') AS free
                   FROM lot GROUP BY 1, 2) l
               USING (site_id, item)
        WHERE s.on_hand <> COALESCE(l.on_hand, 0) OR s.free <> COALESCE(l.free, 0)
        """,
    ),
    Check(
        "no_bed_double_booked",
        "no bed has two guests in one night",
        """
        SELECT format('bed %s: reservations %s and %s', a.bed_id, a.reservation_id,
                      b.reservation_id)
        FROM bed_booking a
        JOIN bed_booking b ON b.bed_id = a.bed_id AND b.reservation_id > a.reservation_id
                          AND b.stay && a.stay AND b.live
        WHERE a.live
        """,
    ),
    Check(
        "slot_seats_counted",
        "the seats taken in a slot are those of its live bookings",
        """
        SELECT format('slot %s: taken %s, booked %s', s.id, s.taken, COALESCE(b.seats, 0))
        FROM slot s
        LEFT JOIN (SELECT slot_id, sum(seats) AS seats FROM slot_booking WHERE live GROUP BY 1) b
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
