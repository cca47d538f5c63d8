"""Every SQL statement of a service is in its store (and what verification asks in its checks)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[3] / "services"
STATEMENT = re.compile(r"\s*(SELECT|INSERT\s+INTO|UPDATE\s+\w+\s|DELETE\s+FROM|WITH\s+\w+\s+AS)\b")


def sql_in(source: str) -> Iterator[int]:
    """Lines of string constants that begin like a statement."""
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.Constant) and isinstance(text, str) and STATEMENT.match(text):
            yield node.lineno


def is_sql_room(path: Path) -> bool:
    return "store" in path.parts or path.name in ("store.py", "checks.py")


@pytest.mark.parametrize("service", sorted(path.name for path in SERVICES.iterdir()))
def test_only_the_store_writes_sql(service: str) -> None:
    found = [
        f"{path.relative_to(SERVICES)}:{line}"
        for path in (SERVICES / service / "src").rglob("*.py")
        if not is_sql_room(path)
        for line in sql_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_statement_would_be_found() -> None:
    assert list(sql_in("x = 1\ny = 'SELECT 1'\nz = f'UPDATE need SET {x}'")) == [2, 3]
    assert list(sql_in("x = 'select a place'")) == []
