"""Logs: one shape, nothing personal, storms bounded, never in the way."""

import ast
import io
import json
import logging
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

import aidmesh_chassis
from aidmesh_chassis import logs
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.redaction import (
    DEPTH_MAX,
    TEXT_CHARS_MAX,
    exception_fields,
    redact,
    redact_mapping,
    redact_text,
)
from aidmesh_chassis.vocabulary import EVENTS

log = logs.get_logger()
NEED = UUID("a1111111-1111-4111-8111-111111111111")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Color(StrEnum):
    RED = "red"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock) -> Iterator[Callable[[], list[dict[str, object]]]]:
    stream = io.StringIO()
    logs.configure("intake", "kyiv", stream=stream, level="debug", repeats_max=3, clock=clock)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.contextvars.clear_contextvars()


Lines = Callable[[], list[dict[str, object]]]


def test_every_line_has_the_same_shape(lines: Lines) -> None:
    need_id = uuid4()
    structlog.contextvars.bind_contextvars(need_id=need_id, request_id="r")
    log.info("need.approved", quantity=2, on=date(2024, 5, 1), color=Color.RED, keys=("a", 1))
    (line,) = lines()
    assert datetime.fromisoformat(str(line.pop("ts"))).tzinfo is not None
    assert line == {
        "level": "info", "event": "need.approved", "service": "intake", "region": "kyiv",
        "need_id": str(need_id), "request_id": "r", "quantity": 2, "on": "2024-05-01",
        "color": "red", "keys": ["a", 1],
    }  # fmt: skip


def test_a_bound_service_goes_before_the_default(lines: Lines) -> None:
    structlog.contextvars.bind_contextvars(service="payments")
    log.info("x")
    assert lines()[0]["service"] == "payments"


@pytest.mark.parametrize(
    "personal",
    [
        "+380501234567", "+380 50 123 45 67", "+38 (050) 123-45-67", "380501234567", "0501234567",
        "050 123 45 67", "(050) 123-45-67", "00380501234567", "+4915112345678", "+1 202-555-0101",
        "olena@example.org", "o.k+x@sub.example.com.ua", "UA213223130000026007233566001",
        "UA21 3223 1300 0002 6007 2335 6600 1", "DE89370400440532013000",
        "de89370400440532013000", "4111 1111 1111 1111", "4111111111111111",
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "Bearer abcdefgh12345678",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "call {} now", "<{}>", "a={}, b=1", "tel:{}"])
def test_text_that_looks_personal_is_masked(personal: str, around: str) -> None:
    shown = redact_text(around.format(personal))
    assert personal not in shown
    assert "***" in shown
    assert sum(char.isdigit() for char in shown) <= 1


@pytest.mark.parametrize(
    "harmless",
    [
        "5f0c4a3e-0f53-4a39-9a4e-2d2d1b7a1c11", "2024-05-01T12:00:00+03:00", "UA80", "UAH",
        "2024-05-01T12:00:00.123456+00:00", "aid.kyiv.inventory.stock.changed.v1", "v1.2.3",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "127.0.0.1:14803",
        "de305d54750f41ba9e1a0123456789ab", "14385 people, 22000 services", "PT10M", "EVENTS",
        "nats://127.0.0.1:4222", "lag 1234567", "aidmesh_intake/store.py:120 save",
    ],
)  # fmt: skip
def test_other_text_is_left_alone(harmless: str) -> None:
    assert redact_text(harmless) == harmless


@given(st.uuids())
def test_ids_are_left_alone(value: UUID) -> None:
    assert redact(value) == str(value)


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_left_alone(value: datetime) -> None:
    assert redact_text(value.isoformat()) == value.isoformat()


def test_urls_lose_their_credentials() -> None:
    shown = redact_text("connect postgresql://intake:s3cr3t@db.local:5432/intake failed")
    assert "s3cr3t" not in shown


def test_named_and_hidden_things_are_masked() -> None:
    shown = redact_mapping({
        "name": "Olena", "Phone": "5", "to_address": "5", "chosen-name": "x", "password": "p",
        "hidden": PersonalText("Olena"), "deep": {"note": "x", "list": [{"iban": "x"}]},
        "380501234567": 1, "number": 380501234567, "stream_name": "EVENTS",
    })  # fmt: skip
    assert shown == {
        "name": "***", "Phone": "***", "to_address": "***", "chosen-name": "***",
        "password": "***", "hidden": "***", "deep": {"note": "***", "list": [{"iban": "***"}]},
        "***": 1, "number": "***", "stream_name": "EVENTS",
    }  # fmt: skip


def test_unknown_objects_show_only_their_class() -> None:
    class Card(BaseModel):
        who: str

    class Plain:
        def __repr__(self) -> str:
            return "Olena"

    assert redact([Card(who="Olena"), Plain(), b"Olena"]) == ["<Card>", "<Plain>", "<5 bytes>"]


def test_everything_is_bounded() -> None:
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"d": deep}
    assert json.dumps(redact(deep)).count("d") <= DEPTH_MAX + len("<dict>")
    shown = redact(list(range(1000)))
    assert isinstance(shown, list)
    assert shown[-1] == "… 950 more"
    assert len(str(redact("я" * 10_000))) == TEXT_CHARS_MAX + 1
    assert len(redact_mapping({str(n): n for n in range(1000)})) == 51


Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(Values)
def test_whatever_is_logged_can_be_written(value: object) -> None:
    json.loads(json.dumps(redact(value)))


def fail(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


def raised(error: Exception, cause: Exception | None = None) -> BaseException:
    with pytest.raises(type(error)) as caught:
        fail(error, cause)
    return caught.value


def test_exceptions_tell_where_and_not_whose() -> None:
    broken = asyncpg.UniqueViolationError("duplicate key value")
    broken.__dict__.update(
        sqlstate="23505", detail="Key (code)=(Olena) exists.", constraint_name="person_code_key"
    )
    for error in (
        ValueError("invalid literal for int() with base 10: 'Olena'"),
        KeyError("Olena"),
        broken,
        raised(RuntimeError("«Olena»")),
    ):
        assert "Olena" not in json.dumps(exception_fields(error), ensure_ascii=False)
    fields = exception_fields(broken)
    assert fields["message"] == "sqlstate=23505 constraint_name=person_code_key"
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(dict[str, int]).validate_python({"Olena": "Kanarienvogel"})
    shown = json.dumps(exception_fields(invalid.value))
    assert "Kanarienvogel" not in shown
    assert "Olena" not in shown
    assert "int_parsing" in shown


def test_causes_and_groups_are_told() -> None:
    fields = exception_fields(raised(RuntimeError("outer"), ConnectionError("to '10.0.0.1'")))
    assert fields["type"] == "builtins.RuntimeError"
    assert fields["causes"] == [{"type": "ConnectionError", "message": "to '***'"}]
    assert "test_logs.py" in str(fields["at"])
    group = exception_fields(ExceptionGroup("several", [ValueError("a"), KeyError("b")]))
    assert [cause["type"] for cause in group["causes"]] == ["ValueError", "KeyError"]  # type: ignore[index, union-attr, call-overload]


def test_libraries_pass_the_same_way(lines: Lines) -> None:
    library = logging.getLogger("nats.somewhere")
    library.warning("cannot reach '%s' for %s", "Olena", "olena@example.org")
    try:
        fail(ValueError("'Olena'"))
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    wrong = logging.LogRecord("nats", logging.INFO, "", 0, "%d of %d", ("no number", 1), None)
    next(each for each in logging.getLogger().handlers if isinstance(each, logs._Bridge)).emit(
        wrong
    )
    first, second, third = lines()
    assert first["event"] == "library.log"
    assert first["logger"] == "nats.somewhere"
    assert first["level"] == "warning"
    assert first["message"] == "cannot reach '***' for ***"
    assert second["exception"]["message"] == "'***'"  # type: ignore[index]
    assert third["message"] == "%d of %d"


def test_addresses_that_libraries_tell_are_not_logged(lines: Lines) -> None:
    logging.getLogger("uvicorn.access").info("GET /v1/people/olena")
    logging.getLogger("httpx").info("GET /v1/people/olena")
    assert lines() == []


def test_repeats_are_counted_instead_of_written(lines: Lines, clock: Clock) -> None:
    for _ in range(10):
        log.warning("link.down", peer="lviv")
    log.error("link.down")
    log.info("other")
    for _ in range(10):
        log.info("http.request")
    events = [line["event"] for line in lines()]
    assert events == ["link.down"] * 4 + ["other"] + ["http.request"] * 10
    clock.now = 61.0
    log.warning("link.down")
    told, again = lines()[-2:]
    assert told["event"] == "log.suppressed"
    assert (told["of"], told["of_level"], told["suppressed"]) == ("link.down", "warning", 7)
    assert again["event"] == "link.down"


def test_memory_of_repeats_is_bounded(clock: Clock) -> None:
    limiter = logs._Limiter(3, clock)
    for number in range(2000):
        limiter.admit(f"event.{number}", "info")
    assert len(limiter._keys) <= 513


def test_logging_never_fails_the_work() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    logs.configure("intake", "kyiv", stream=Full())
    log.info("x")
    closed = io.StringIO()
    logs.configure("intake", "kyiv", stream=closed)
    closed.close()
    log.info("x")


def test_a_terminal_gets_colors() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    logs.configure("intake", "kyiv", stream=stream)
    try:
        fail(ValueError("'Olena'"))
    except ValueError:
        log.exception("http.failed", route="/v1/x")
    shown = stream.getvalue()
    assert "\x1b[" in shown
    assert "http.failed" in shown
    assert "test_logs.py" in shown
    assert "Olena" not in shown
    with pytest.raises(ValueError, match="loud"):
        logs.configure("intake", "kyiv", level="loud")


def test_levels_below_are_not_written() -> None:
    stream = io.StringIO()
    logs.configure("intake", "kyiv", stream=stream, level="warning")
    log.info("x")
    logging.getLogger("y").info("x")
    log.warning("z")
    assert stream.getvalue().count("\n") == 1


def test_hidden_values_survive_no_way_out(lines: Lines) -> None:
    log.info("x", card=PersonalText("Olena"), cards=[PersonalText("Olena")])
    text = f"x {PersonalText('Olena')}"
    log.info(text)
    assert "Olena" not in json.dumps(lines())
    with pytest.raises(TypeError):
        pickle.dumps(PersonalText("Olena"))


def test_the_vocabulary_holds_every_event_of_the_http_side() -> None:
    """What these modules log is in the vocabulary, at the level that it says."""
    folder = Path(aidmesh_chassis.__file__).parent
    used: set[tuple[str, str]] = set()
    for name in ("middleware", "http", "keys", "staff", "auth", "idempotency"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(value=str(event)), *_],
                ):
                    used.add((event, "error" if level == "exception" else level))
    assert used
    for event, level in used:
        assert EVENTS[event].level == level


def test_lines_of_a_transaction_are_written_once_and_only_when_it_is_over(lines: Lines) -> None:
    deferred = logs.Deferred()
    deferred.info("keys.unlocked", **logs.counted("need", {NEED, UUID(int=2)}))
    deferred.warning("keys.locked", **logs.counted("need", [NEED]))
    assert lines() == []
    deferred.write()
    deferred.write()
    many, one = lines()
    assert (many["needs"], "need_id" in many) == (2, False)
    assert (one["level"], one["needs"], one["need_id"]) == ("warning", 1, str(NEED))


@pytest.mark.parametrize("said", ["+380441234567", "not-an-id", None, 7, str(NEED) + "x"])
def test_only_an_id_is_bound(lines: Lines, said: object) -> None:
    logs.bind_need(said)
    log.info("keys.unlocked")
    logs.bind_need(str(NEED).upper())
    log.info("keys.unlocked")
    without, with_it = lines()
    assert "need_id" not in without
    assert with_it["need_id"] == str(NEED)
