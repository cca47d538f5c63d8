"""What inventory's checks promise, broken."""

from e2e.breaks.breaking import Break

LEFT_BEHIND = """
    WITH heard AS (
        INSERT INTO grant_terms (grant_id, grantor, terms_version, restriction, heard_at)
        VALUES (gen_random_uuid(), 'kyiv', 2, '{}', now() - interval '1 hour') RETURNING grant_id
    )
    UPDATE lot SET grant_id = heard.grant_id, terms_version = 1 FROM heard
    WHERE lot.id = (SELECT id FROM lot LIMIT 1)
"""
SHIPMENT = """
    WITH s AS (
        INSERT INTO shipment (id, from_region, to_region, from_site_id, to_site_id, sent, state,
                              version, dispatched_on)
        VALUES (gen_random_uuid(), 'kyiv', 'lviv', gen_random_uuid(), gen_random_uuid(),
                '{sent}', '{state}', 1, {on}) RETURNING id
    )
    INSERT INTO shipment_line (shipment_id, line_id, lot_id, item, quantity, unit_value_minor,
                               currency, good, damaged, short, surplus, counted_on)
    SELECT s.id, gen_random_uuid(), {lot}, 'food_parcel', 3, 0, 'UAH', {counts} FROM s
"""


def shipment(sent: str, state: str, *, lot: bool = False, counted: bool = False) -> str:
    """A shipment that came from nowhere."""
    return (
        SHIPMENT.replace("{sent}", sent)
        .replace("{state}", state)
        .replace("{on}", "'2024-01-01'" if sent == "dispatched" else "NULL")
        .replace("{lot}", "(SELECT id FROM lot LIMIT 1)" if lot else "NULL::uuid")
        .replace(
            "{counts}",
            "3, 0, 0, 0, date '2024-01-01'" if counted else "NULL, NULL, NULL, NULL, NULL",
        )
    )


INVENTORY = (
    Break(
        "inventory.stock_conserved",
        "inventory",
        "UPDATE movement SET quantity = quantity + 1 WHERE kind = 'receipt'",
    ),
    Break(
        "inventory.stock_held_by_reservations",
        "inventory",
        "UPDATE allocation SET quantity = quantity + 1 WHERE reservation_id IN "
        "(SELECT id FROM reservation WHERE state = 'confirmed')",
    ),
    Break(
        "inventory.stock_issued_by_reservations",
        "inventory",
        "UPDATE allocation SET quantity = quantity + 1 WHERE reservation_id IN "
        "(SELECT id FROM reservation WHERE state = 'issued')",
    ),
    Break(
        "inventory.stock_issued_by_reservations",
        "inventory",
        "UPDATE movement SET lot_id = gen_random_uuid() WHERE kind = 'issue'",
        also=("inventory.stock_conserved",),
    ),
    Break(
        "inventory.stock_told_right",
        "inventory",
        "UPDATE stock_state SET free = free - 1 WHERE free > 0",
    ),
    Break("inventory.stock_told_right", "inventory", "DELETE FROM stock_state"),
    Break("inventory.lots_follow_their_grants", "inventory", LEFT_BEHIND),
    Break(
        "inventory.moves_add_up",
        "inventory",
        """
        UPDATE movement SET kind = 'move', move_id = gen_random_uuid()
        WHERE id = (SELECT m.id FROM movement m JOIN receipt r ON r.id = m.receipt_id
                    WHERE m.kind = 'receipt' AND r.shipment_id IS NULL LIMIT 1)
        """,
    ),
    Break(
        "inventory.no_bed_double_booked",
        "inventory",
        "UPDATE bed_booking SET live = false, bed_id = (SELECT min(bed_id::text)::uuid "
        "FROM bed_booking)",
    ),
    Break(
        "inventory.slot_seats_counted",
        "inventory",
        "UPDATE slot SET taken = taken - 1 WHERE taken > 0",
    ),
    Break(
        "inventory.holds_expire",
        "inventory",
        "UPDATE reservation SET state = 'held', hold_until = now() - interval '1 hour' "
        "WHERE state = 'confirmed'",
        also=("ready_needs_have_their_aid",),
    ),
    Break(
        "inventory.shipments_left_stock",
        "inventory",
        shipment("dispatched", "dispatched", lot=True),
        also=("mesh.shipments_match",),
    ),
    Break(
        "inventory.shipments_came_in",
        "inventory",
        shipment("dispatched", "received", counted=True),
        also=("mesh.shipments_match",),
    ),
    Break(
        "inventory.shipments_add_up",
        "inventory",
        shipment("preparing", "dispatched"),
        also=("mesh.shipments_match",),
    ),
    Break(
        "inventory.asked_by_rule",
        "inventory",
        """
        WITH rule AS (
            INSERT INTO ask_rule (id, item, to_site_id, open_max, sensitive_too, set_at, set_by)
            SELECT gen_random_uuid(), 'food_parcel', id, 4, false, now(), gen_random_uuid()
            FROM site LIMIT 1 RETURNING id, to_site_id
        )
        INSERT INTO transfer (id, from_region, to_region, item, quantity, to_site_id, area, reason,
                              asked_at, ask_rule_id)
        SELECT gen_random_uuid(), 'lviv', 'kyiv', 'food_parcel', 5, to_site_id, 'UA80',
               'waiting_needs', now(), id FROM rule
        """,
    ),
    Break(
        "inventory.accepted_by_rule",
        "inventory",
        """
        WITH rule AS (
            INSERT INTO accept_rule (id, keep_pieces, keep_days, ask_max, week_max, set_at, set_by)
            VALUES (gen_random_uuid(), 0, 0, 4, 4, now(), gen_random_uuid()) RETURNING id
        )
        INSERT INTO transfer (id, from_region, to_region, item, quantity, to_site_id, area, reason,
                              state, accepted, asked_at, answered_at, by_rule, accept_rule_id)
        SELECT gen_random_uuid(), 'kyiv', 'lviv', 'food_parcel', 5, gen_random_uuid(), 'UA46',
               'waiting_needs', 'accepted', 5, now(), now(), true, id FROM rule
        """,
    ),
)
