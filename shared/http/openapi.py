"""The OpenAPI document of a table of endpoints."""

from collections.abc import Sequence
from typing import cast

import msgspec

from shared.http.endpoints import IDEMPOTENCY_KEY, LONGEST_KEY, Endpoint
from shared.http.problems import PROBLEM_JSON, ProblemDocument
from shared.http.requests import JSON

JsonObject = dict[str, object]
_SCHEMA = "#/components/schemas/{name}"
_IDEMPOTENCY_KEY: JsonObject = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "Again with the same request: no second effect. With another request: 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}


def build_document(title: str, version: str, endpoints: Sequence[Endpoint]) -> JsonObject:
    """OpenAPI 3.1 for `endpoints`; each operation carries its roles as `x-roles`."""
    schemas = _Components(endpoints)
    paths: dict[str, JsonObject] = {}
    for endpoint in endpoints:
        path = endpoint.path.replace(":path}", "}")
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Components:
    """The schemas of everything that goes in and out, as references to the document's components."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        used: list[object] = [e.body for e in endpoints if e.body not in (None, bytes)]
        used += [reply for e in endpoints for reply in _replies(e).values() if reply is not None]
        used += [e.query for e in endpoints if e.query is not None]
        references, components = msgspec.json.schema_components(
            [*used, ProblemDocument], ref_template=_SCHEMA
        )
        self.components: JsonObject = components
        self._by_type: dict[int, JsonObject] = dict(zip(map(id, used), references, strict=False))

    def reference(self, schema: object) -> JsonObject:
        """The reference to `schema`; of raw bytes anything."""
        return {} if schema is bytes else self._by_type[id(schema)]

    def members(self, name: str) -> tuple[dict[str, JsonObject], list[str]]:
        """The properties of a component, and which of them are required."""
        component = cast(JsonObject, self.components[name])
        properties = cast(dict[str, JsonObject], component["properties"])
        return properties, cast(list[str], component.get("required", []))


def _operation(endpoint: Endpoint, schemas: _Components) -> JsonObject:
    operation: JsonObject = {
        "summary": endpoint.summary[1],
        "description": endpoint.summary[0],
        "operationId": endpoint.handle.__name__,
        "parameters": _parameters(endpoint, schemas),
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.roles is not None:
        operation["security"] = [{"key": []}]
        operation["x-roles"] = list(endpoint.roles)
    if endpoint.body is not None:
        content = {kind: {"schema": schemas.reference(endpoint.body)} for kind in endpoint.media_types}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _replies(endpoint: Endpoint) -> dict[int, object]:
    return {endpoint.status: endpoint.reply, **endpoint.other_replies}


def _responses(endpoint: Endpoint, schemas: _Components) -> JsonObject:
    problem = {PROBLEM_JSON: {"schema": {"$ref": _SCHEMA.format(name="ProblemDocument")}}}
    responses: JsonObject = {}
    for status, reply in _replies(endpoint).items():
        content = {} if reply is None else {"content": {JSON: {"schema": schemas.reference(reply)}}}
        responses[str(status)] = {"description": "Done", **content}
    return {**responses, "default": {"description": "A problem", "content": problem}}


def _parameters(endpoint: Endpoint, schemas: _Components) -> list[JsonObject]:
    names = [part[1:-1].split(":")[0] for part in endpoint.path.split("/") if part.startswith("{")]
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    if endpoint.keyed:
        parameters.append(_IDEMPOTENCY_KEY)
    if endpoint.query is not None:
        members, required = schemas.members(endpoint.query.__name__)
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": kind}
            for name, kind in members.items()
        ]
    return parameters
