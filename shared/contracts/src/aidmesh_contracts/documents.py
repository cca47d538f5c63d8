"""Documents generated from the contracts: JSON Schema snapshots, AsyncAPI 3, and a table.

`python -m aidmesh_contracts write FOLDER` writes them; a test compares what is committed.
"""

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.registry import ALL
from aidmesh_contracts.streams import Stream

Json = dict[str, Any]

HEADERS: Json = {
    "type": "object",
    "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "aid-epoch"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid"},
        "ce-source": {"type": "string", "description": "/aidmesh/<region>/<service>"},
        "ce-type": {"type": "string"},
        "ce-subject": {"type": "string", "description": "id of the aggregate"},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-dataschema": {"type": "string"},
        "Nats-Msg-Id": {"type": "string", "description": "same as ce-id"},
        "aid-correlation": {"type": "string", "format": "uuid"},
        "aid-causation": {"type": "string", "format": "uuid"},
        "aid-version": {"type": "string", "description": "version of the aggregate"},
        "aid-epoch": {"type": "string", "description": "epoch of the region"},
        "traceparent": {"type": "string"},
    },
}
"""CloudEvents 1.0 attributes in NATS binary mode, and Aidmesh's own."""


def schema_of(event: type[Event]) -> Json:
    """Return the JSON Schema (2020-12) of an event's payload."""
    schema = event.model_json_schema(mode="serialization")
    schema["$id"] = f"urn:aidmesh:schema:{event.type}"
    schema["x-stream"] = event.stream.value
    schema["x-key"] = event.key
    return schema


def incompatibilities(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """Say what in `new` would break a reader or writer of `old`; nothing when only optional
    fields were added.

    Args:
        old, new: JSON Schemas of one event version.
        path: where in the schema this call is.
    """
    found: list[str] = []
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    found += [f"{path}{name}: removed" for name in old_fields if name not in new_fields]
    added = set(new_fields) - set(old_fields)
    required_now = set(new.get("required", ()))
    found += [f"{path}{name}: new and required" for name in sorted(added & required_now)]
    if required_now - added != set(old.get("required", ())):
        found.append(f"{path or 'event '}required fields changed")
    for name, old_field in old_fields.items():
        new_field = new_fields.get(name)
        if new_field is not None and _shape(old_field) != _shape(new_field):
            found.append(f"{path}{name}: changed")
    for name, definition in old.get("$defs", {}).items():
        if name in new.get("$defs", {}):
            found += incompatibilities(definition, new["$defs"][name], f"{path}{name}.")
    return found


def _shape(field: Json) -> str:
    kept = {key: value for key, value in field.items() if key not in {"title", "description"}}
    return json.dumps(kept, sort_keys=True)


def asyncapi(service: str | None = None) -> Json:
    """Return the AsyncAPI 3.0 document of one service, or of all of them.

    A channel is a subject with the region as its parameter; a service sends what it produces and
    receives what its consumers take.
    """
    sends = [event for event in ALL if service is None or event.producer() == service]
    takes = [
        (consumer, event)
        for consumer in CONSUMERS
        if service is None or consumer.service == service
        for event in consumer.events
    ]
    events = {event.type: event for event in (*sends, *(event for _, event in takes))}
    operations: Json = {
        f"send.{event.type}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{event.type}"},
            "x-service": event.producer(),
        }
        for event in sends
    }
    for consumer, event in takes:
        operations[f"receive.{consumer.durable}.{event.type}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{event.type}"},
            "x-service": consumer.service,
            "x-durable": consumer.durable,
            "x-stream": consumer.stream.value,
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Aidmesh {service or 'events'}", "version": "1"},
        "defaultContentType": "application/json",
        "channels": {name: _channel(event) for name, event in sorted(events.items())},
        "operations": operations,
        "components": {
            "messageTraits": {"cloudevent": {"headers": HEADERS}},
        },
    }


def _channel(event: type[Event]) -> Json:
    handed_over = event.stream is Stream.HANDOFF
    return {
        "address": event.subject("{region}", "{to_region}" if handed_over else None),
        "parameters": {
            "region": {"description": "the region it happened in"},
            **({"to_region": {"description": "the region it is for"}} if handed_over else {}),
        },
        "messages": {
            event.__name__: {
                "name": event.type,
                "summary": _summary(event),
                "traits": [{"$ref": "#/components/messageTraits/cloudevent"}],
                "payload": schema_of(event),
            }
        },
    }


def _summary(event: type[Event]) -> str:
    return inspect.cleandoc(event.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def table(events: Iterable[type[Event]] = ALL) -> str:
    """Return the event catalogue as a Markdown table."""
    takers: dict[type[Event], list[str]] = {}
    for consumer in CONSUMERS:
        for event in consumer.events:
            takers.setdefault(event, []).append(consumer.durable)
    lines = ["| event | stream | what | taken by |", "|---|---|---|---|"]
    lines += [
        f"| `{event.type}` | {event.stream} | {_summary(event)} "
        f"| {', '.join(takers.get(event, [])) or '—'} |"
        for event in events
    ]
    return "\n".join(lines) + "\n"
