"""The OpenAPI document of a table of endpoints."""

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.errors import FieldError
from shared.http.endpoints import Endpoint

_SCHEMA = "#/components/schemas/{name}"


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """RFC 9457: what went wrong, for people and programs."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None


def build_document(title: str, version: str, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """OpenAPI 3.1 for `endpoints`; each operation carries its roles as `x-roles`."""
    bodies = [e.body for e in endpoints if e.body not in (None, bytes)]
    answers = [answer for e in endpoints for answer in _replies(e).values() if answer is not None]
    queries = [e.query for e in endpoints if e.query is not None]
    schemas, components = msgspec.json.schema_components(
        [*bodies, *answers, *queries, ProblemDocument], ref_template=_SCHEMA
    )
    found = dict(zip(map(id, [*bodies, *answers, *queries]), schemas, strict=False))
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        path = endpoint.path.replace(":path}", "}")
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, found, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, found: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary[1],
        "description": endpoint.summary[0],
        "operationId": endpoint.handle.__name__,
        "parameters": _parameters(endpoint, components),
        "responses": {
            **{str(s): _content("Done", answer, found) for s, answer in _replies(endpoint).items()},
            "default": {
                "description": "A problem",
                "content": {
                    "application/problem+json": {"schema": {"$ref": _SCHEMA.format(name="ProblemDocument")}}
                },
            },
        },
    }
    if endpoint.roles is not None:
        operation["security"] = [{"key": []}]
        operation["x-roles"] = list(endpoint.roles)
    if endpoint.body is not None:
        schema = {} if endpoint.body is bytes else found[id(endpoint.body)]
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind in endpoint.types},
        }
    return operation


def _replies(endpoint: Endpoint) -> dict[int, Any]:
    return {endpoint.status: endpoint.answer, **endpoint.other_answers}


def _content(description: str, schema: Any, found: dict[int, Any]) -> dict[str, Any]:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": found[id(schema)]}}}


def _parameters(endpoint: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    names = [part[1:-1].split(":")[0] for part in endpoint.path.split("/") if part.startswith("{")]
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    if endpoint.query is not None:
        schema = components[endpoint.query.__name__]
        required = schema.get("required", [])
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": kind}
            for name, kind in schema["properties"].items()
        ]
    return found
