"""What the book makes of what was accepted."""

from aidmesh.chaos.book import Book, Json, Op, Status, histories, lots_of, spent_minor
from aidmesh_chassis.auth import Role
from unit.chaos.booking import accept, asked

NEED = "n-1"


def test_what_was_not_answered_counts_for_nothing() -> None:
    book = Book()
    accept(book, "receive", answer={"lot_ids": ["a"]}, quantity="5")
    lost = book.begin(
        "receive", "kyiv", "inventory", "/receipts", Role.LOGISTICIAN, {}, {"quantity": "7"}
    )

    assert book.unknown() == [lost]
    assert left(book) == {("kyiv", "a"): 5}


def test_a_form_is_accepted_when_its_row_was() -> None:
    for row, status in (("done", Status.ACCEPTED), ("skipped", Status.ACCEPTED),
                        ("rejected", Status.REFUSED)):  # fmt: skip
        op = Op(1, "approve", "kyiv", "payments", "/payouts:approve", Role.APPROVER, {}, {})
        op.hear(200, {"rows": [{"status": row, "id": "p-1"}]})

        assert (op.status, op.answer["id"]) == (status, "p-1")


def test_a_need_may_be_where_what_was_done_with_it_leads() -> None:
    steps: list[tuple[tuple[str, ...], set[str]]] = [
        ((), {"ready", "waitlisted"}),
        (("issue",), {"fulfilled"}),
        (("issue", "undo"), {"ready", "waitlisted"}),
        (("undo", "issue", "issue"), {"fulfilled"}),
        (("cancel",), {"cancelled"}),
        (("cancel", "issue"), {"fulfilled"}),
        (("refer",), {"ready", "waitlisted", "referred"}),
        (("settle",), {"fulfilled"}),
        (("cancel", "settle_order"), {"fulfilled"}),
        (("settle", "cancel", "return_paid"), {"cancelled", "requested"}),
        (("cancel", "issue", "undo"), {"cancelled", "requested"}),
        (("give_up",), {"ready", "waitlisted", "requested"}),
        (("give_up", "decide"), {"ready", "waitlisted"}),
        (("settle", "return_paid"), {"ready", "waitlisted"}),
        (("settle_order", "return_order", "settle_order"), {"fulfilled"}),
    ]
    for done, allowed in steps:
        book = Book()
        asked(book, NEED, "food_parcel")
        for what in done:
            accept(book, what, need=NEED, reference="b-1")

        assert histories(book.ops)[NEED].allowed == allowed, done


def test_of_whom_was_erased_what_was_open_is_cancelled_or_was_referred() -> None:
    for done, allowed in (
        ((), {"cancelled"}),
        (("refer",), {"cancelled", "referred"}),
        (("issue",), {"fulfilled"}),
    ):
        book = Book()
        asked(book, NEED, "shelter_night").answer["person_id"] = "person"
        for what in done:
            accept(book, what, need=NEED)
        accept(book, "erase", person="person")
        accept(book, "erase", person="another")

        assert histories(book.ops)[NEED].allowed == allowed, done


def test_a_payment_is_of_the_need_whose_payout_was_approved() -> None:
    book = Book()
    asked(book, NEED, "travel")
    answer: Json = {"rows": [{"status": "done", "id": "p-1"}]}
    accept(book, "approve", answer=answer, path="/payouts:approve", need=NEED)
    accept(book, "settle_order", region="lviv", payout="p-1", reference="b-1")

    assert histories(book.ops)[NEED].paid == ["b-1"]


def left(book: Book) -> dict[tuple[str, str], int]:
    return {lot: history.on_hand for lot, history in lots_of(book.ops).items()}


def line(line_id: str, lot_id: str | None, quantity: int, good: int | None = None) -> Json:
    return {"line_id": line_id, "lot_id": lot_id, "quantity": quantity, "good": good}


def test_goods_are_in_the_lots_that_were_named() -> None:
    book = Book()
    accept(book, "receive", answer={"lot_ids": ["a"]}, quantity="9")
    accept(book, "receive", answer={"lot_ids": ["b"]}, quantity="2")
    accept(book, "issue", need=NEED, lots="a:1 b:2")
    accept(book, "undo", need=NEED, lots="b:1")
    accept(book, "issue", need="bed", lots="")
    accept(book, "dispatch", answer={"lines": [line("1", "a", 4), line("2", "b", 1)]})
    accept(
        book,
        "count",
        region="lviv",
        answer={"lines": [line("1", "c", 4, 3), line("2", "d", 1, 1), line("3", None, 1, 0)]},
        lines="1 3",
    )

    assert left(book) == {("kyiv", "a"): 4, ("kyiv", "b"): 0, ("lviv", "c"): 3}
    assert lots_of(book.ops)["kyiv", "b"].went == 2


def test_goods_that_are_moved_leave_a_lot_for_one_at_the_other_site() -> None:
    book = Book()
    ends: Json = {"from_lot": {"lot_id": "a"}, "to_lot": {"lot_id": "b"}}
    back: Json = {"from_lot": {"lot_id": "b"}, "to_lot": {"lot_id": "a"}}
    accept(book, "receive", answer={"lot_ids": ["a"]}, quantity="9")
    accept(book, "move", answer=ends, lot="a", quantity="4")
    accept(book, "move", answer=ends, lot="a", quantity="2")
    accept(book, "move", answer=back, lot="b", quantity="1")
    accept(book, "issue", need=NEED, lots="b:5")

    assert left(book) == {("kyiv", "a"): 4, ("kyiv", "b"): 0}
    moved = lots_of(book.ops)["kyiv", "b"]
    assert (moved.came, moved.went) == (6, 6)


def test_a_payment_that_came_back_was_not_spent() -> None:
    book = Book()
    for what, amount in (("settle", "50"), ("settle_order", "70"), ("return_order", "70")):
        accept(book, what, holder="kyiv", amount_minor=amount)

    assert spent_minor(book.ops) == {"kyiv": 50}
