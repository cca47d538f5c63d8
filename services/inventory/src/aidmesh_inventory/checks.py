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
        "moves_add_up",
        "what left a lot for another site came into a lot of the same goods there, once",
        """
        SELECT format('move %s: %s movements, %s pieces too many', m.move_id, count(*),
                      sum(m.quantity))
        FROM movement m LEFT JOIN lot l ON l.id = m.lot_id
        WHERE m.kind = 'move' GROUP BY m.move_id
        HAVING count(*) <> 2 OR sum(m.quantity) <> 0 OR count(DISTINCT l.site_id) <> 2
            OR count(DISTINCT (l.receipt_id, l.item)) <> 1
        """,
    ),
    Check(
        "lots_follow_their_grants",
        "what bought goods may be used for is what their grant says, but for a sweep",
        """
        SELECT format('lot %s: terms %s, grant %s: %s', l.id, l.terms_version, g.grant_id,
                      g.terms_version)
        FROM lot l JOIN grant_terms g ON g.grant_id = l.grant_id
        WHERE l.terms_version < g.terms_version AND g.heard_at < now() - interval '60 seconds'
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
    Check(
        "shipments_left_stock",
        "what left a lot for other regions is what was dispatched of it, once",
        """
        SELECT format('shipment %s, lot %s: moved %s, dispatched %s', shipment_id, lot_id,
                      COALESCE(m.total, 0), COALESCE(l.total, 0))
        FROM (
            SELECT l.shipment_id, l.lot_id, sum(l.quantity) AS total
            FROM shipment_line l JOIN shipment s ON s.id = l.shipment_id
            WHERE l.lot_id IS NOT NULL AND s.sent = 'dispatched' GROUP BY 1, 2
        ) l
        FULL JOIN (
            SELECT shipment_id, lot_id, -sum(quantity) AS total FROM movement
            WHERE shipment_id IS NOT NULL GROUP BY 1, 2
        ) m USING (shipment_id, lot_id)
        WHERE COALESCE(m.total, 0) <> COALESCE(l.total, 0)
        """,
    ),
    Check(
        "shipments_came_in",
        "what came into stock from other regions is what was counted of it, once",
        """
        SELECT format('shipment %s, line %s: received %s, counted %s', shipment_id, line_id,
                      COALESCE(r.total, 0), COALESCE(l.good, 0))
        FROM (SELECT l.shipment_id, l.line_id, l.good
              FROM shipment_line l JOIN shipment s ON s.id = l.shipment_id
              WHERE l.lot_id IS NULL AND l.good > 0
                -- Of what left after the backup that a region was restored from no lot is known.
                AND NOT EXISTS (SELECT FROM site WHERE site.id = s.from_site_id)) l
        FULL JOIN (
            SELECT r.shipment_id, r.line_id, sum(m.quantity) AS total
            FROM receipt r JOIN movement m ON m.receipt_id = r.id AND m.kind = 'receipt'
            WHERE r.shipment_id IS NOT NULL GROUP BY 1, 2
        ) r USING (shipment_id, line_id)
        WHERE COALESCE(r.total, 0) <> COALESCE(l.good, 0)
        """,
    ),
    Check(
        "shipments_add_up",
        "a shipment is received when all its lines were counted, and no line before it left",
        """
        SELECT format('shipment %s: %s, %s of %s lines counted', s.id, s.state,
                      count(l.good), count(l.line_id))
        FROM shipment s LEFT JOIN shipment_line l ON l.shipment_id = s.id
        GROUP BY s.id
        HAVING s.state <> CASE WHEN count(l.good) = 0 THEN s.sent
                               WHEN count(l.good) = count(l.line_id) THEN 'received'
                               ELSE 'receiving' END
            OR (count(l.good) > 0 AND s.sent <> 'dispatched')
        """,
    ),
    Check(
        "accepted_by_rule",
        "what a rule accepted is an ask that it may accept, as a whole",
        """
        SELECT format('transfer %s by rule %s: %s of %s', t.id, r.id, t.accepted, t.quantity)
        FROM transfer t JOIN accept_rule r ON r.id = t.accept_rule_id
        WHERE t.state <> 'withdrawn' AND (
               t.state <> 'accepted' OR t.accepted <> t.quantity OR NOT t.by_rule
            OR t.quantity > r.ask_max OR r.item <> t.item OR NOT t.to_region = ANY (r.regions)
            OR t.answered_at < r.set_at)
        """,
    ),
    Check(
        "asked_by_rule",
        "what a rule asks for is its item, for its site, of a region that it names, within bounds",
        """
        SELECT format('transfer %s of %s %s by rule %s', t.id, t.quantity, t.item, r.id)
        FROM transfer t JOIN ask_rule r ON r.id = t.ask_rule_id
        WHERE t.item <> r.item OR t.to_site_id <> r.to_site_id OR t.quantity > r.open_max
           OR NOT t.from_region = ANY (r.regions)
        """,
    ),
)
