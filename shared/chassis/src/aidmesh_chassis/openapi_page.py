"""`/docs`: a service's OpenAPI document as one page, made on the server.

No script and nothing from elsewhere, so it opens in an office without a line to the outside.
FastAPI's own page loads its viewer from a CDN; packages that bring one's files were looked up and
could not be had (docs/decisions/0009).
"""

import json
from collections.abc import Iterable, Mapping
from html import escape

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color:#1b1b1f;
background:#fff}
details{border:1px solid #ccc;border-radius:.4rem;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}code,pre{font-family:ui-monospace,monospace}
pre{overflow:auto;background:#f4f4f6;padding:.6rem;border-radius:.4rem}
b.method{display:inline-block;min-width:4.5rem}table{border-collapse:collapse}
td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#16161a;color:#e8e8ea}pre{background:#222228}}
"""
_PREFACE = (
    '<p>The same for programs: <a href="openapi.json">openapi.json</a>. Every POST takes an '
    "<code>Idempotency-Key</code>; errors are problem details (RFC 9457).</p>"
)
_METHODS = ("get", "post", "put", "patch", "delete")


def render(document: Mapping[str, object]) -> str:
    """The whole page for an OpenAPI 3.1 document."""
    info = _mapping(document.get("info"))
    title = escape(str(info.get("title", "API")))
    groups: dict[str, list[str]] = {}
    for path, item in _mapping(document.get("paths")).items():
        for method in _METHODS:
            operation = _mapping(_mapping(item).get(method))
            if operation:
                tags = operation.get("tags")
                tag = str(tags[0]) if isinstance(tags, list) and tags else "Routes"
                groups.setdefault(tag, []).append(_operation(method, str(path), operation))
    schemas = _mapping(_mapping(document.get("components")).get("schemas"))
    parts = [f"<h1>{title}</h1>", _PREFACE]
    for tag, operations in groups.items():
        parts += [f"<h2>{escape(tag)}</h2>", *operations]
    if schemas:
        parts.append("<h2>Schemas</h2>")
        parts += [
            f'<details id="schema-{escape(str(name))}"><summary><code>{escape(str(name))}</code>'
            f"</summary>{_json(schema)}</details>"
            for name, schema in schemas.items()
        ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, object]) -> str:
    summary = escape(str(operation.get("summary", "")))
    name = f'<b class="method">{method.upper()}</b> <code>{escape(path)}</code> {summary}'
    parts = [f"<details><summary>{name}</summary>"]
    if description := operation.get("description"):
        parts.append(f"<p>{escape(str(description))}</p>")
    if rows := operation.get("x-rows-max"):
        parts.append(f"<p>At most {escape(str(rows))} rows, all of them at once.</p>")
    parts.append(_parameters(operation.get("parameters")))
    if body := operation.get("requestBody"):
        parts += ["<h3>Body</h3>", _contents(_mapping(body))]
    for status, response in _mapping(operation.get("responses")).items():
        told = _mapping(response)
        parts.append(f"<h3>{escape(str(status))} {escape(str(told.get('description', '')))}</h3>")
        parts.append(_contents(told))
    return "".join([*parts, "</details>"])


def _parameters(parameters: object) -> str:
    if not isinstance(parameters, list) or not parameters:
        return ""
    rows: Iterable[str] = (
        f"<tr><td><code>{escape(str(each.get('name')))}</code></td><td>{escape(str(each.get('in')))}"
        f"</td><td>{'required' if each.get('required') else ''}</td>"
        f"<td>{escape(str(each.get('description', '')))} {_schema(each.get('schema'))}</td></tr>"
        for each in map(_mapping, parameters)
    )
    return f"<table><tr><th>name<th>in<th><th>meaning</tr>{''.join(rows)}</table>"


def _contents(holder: Mapping[str, object]) -> str:
    return "".join(
        f"<p><code>{escape(str(kind))}</code> {_schema(_mapping(content).get('schema'))}</p>"
        for kind, content in _mapping(holder.get("content")).items()
    )


def _schema(schema: object) -> str:
    told = _mapping(schema)
    reference = told.get("$ref")
    if isinstance(reference, str):
        name = escape(reference.rsplit("/", 1)[-1])
        return f'<a href="#schema-{name}">{name}</a>'
    return f"<code>{escape(json.dumps(told, ensure_ascii=False))}</code>" if told else ""


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
