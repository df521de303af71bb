"""The AsyncAPI document: the events that may be posted to RabbitMQ and those published for others."""

from typing import Any

import msgspec

from shared.messages.facts import INBOUND
from shared.messages.registry import INBOUND_EXCHANGE, PUBLIC, PUBLIC_EXCHANGE

_REF = "#/components/schemas/{name}"


def build_document(version: str) -> dict[str, object]:
    """AsyncAPI 3.0 of both exchanges: CloudEvents in structured mode, the type is the routing key."""
    types = {**INBOUND, **PUBLIC}
    schemas, components = msgspec.json.schema_components(types.values(), ref_template=_REF)
    messages = {name: _message(name, schema) for name, schema in zip(types, schemas, strict=True)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Guanjia", "version": version},
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "inbound": _channel(INBOUND_EXCHANGE, INBOUND),
            "events": _channel(PUBLIC_EXCHANGE, PUBLIC),
        },
        "operations": {
            "take": {"action": "receive", "channel": {"$ref": "#/channels/inbound"}},
            "publish": {"action": "send", "channel": {"$ref": "#/channels/events"}},
        },
        "components": {"schemas": components, "messages": messages},
    }


def _channel(exchange: str, types: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": None,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types},
        "bindings": {
            "amqp": {"is": "routingKey", "exchange": {"name": exchange, "type": "topic", "durable": True}}
        },
    }


def _message(name: str, data: dict[str, Any]) -> dict[str, Any]:
    string = {"type": "string"}
    payload = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": string,
            "source": string,
            "type": {"const": name},
            "time": {"type": "string", "format": "date-time"},
            "data": data,
        },
    }
    return {"name": name, "contentType": "application/cloudevents+json", "payload": payload}
