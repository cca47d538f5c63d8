"""Writing into a book what a mesh would have accepted."""

from aidmesh.chaos.book import Book, Json, Op
from aidmesh_chassis.auth import Role


def accept(
    book: Book,
    what: str,
    *,
    region: str = "kyiv",
    answer: Json | None = None,
    path: str = "/",
    **facts: str,
) -> Op:
    """Something that was accepted."""
    op = book.begin(what, region, "intake", path, Role.LEAD, {}, facts)
    op.hear(200, answer or {})
    return op


def asked(book: Book, need_id: str, kind: str, region: str = "kyiv") -> Op:
    """A need that somebody asked for."""
    return accept(
        book, "ask", region=region, answer={"needs": [{"need_id": need_id, "kind": kind}]}
    )
