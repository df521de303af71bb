"""Posting events as CloudEvents 1.0 over HTTP, in structured, batch and binary mode."""

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from services.intake.api.replies import (
    POSTERS,
    BatchReply,
    EventReply,
    accept_each,
    accept_one,
    make_event_context,
)
from services.intake.domain.incoming_event import Envelope, EventContext, IncomingEvent, read_event
from services.intake.operations.context import IntakeContext
from shared.errors import InvalidInput, Problem, TooLarge, WrongMediaType
from shared.http.endpoints import Call, Endpoints, Reply
from shared.http.json_input import convert, read_json, read_members
from shared.http.requests import BODY_LIMIT, JSON, read_media_type

MAX_BATCH = 1000
MAX_BATCH_BYTES = 1024 * 1024
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
EventsCall = Call[IntakeContext, None, bytes]

endpoints = Endpoints()
_ATTRIBUTES = set(Envelope.__struct_fields__) - {"data", "data_base64", "datacontenttype"}


@endpoints.add(
    "POST", "/v1/events", roles=POSTERS, body_limit=MAX_BATCH_BYTES, status=202, reply=EventReply,
    other_replies={200: BatchReply}, media_types=(STRUCTURED, BATCHED, JSON),
    summary=("提交事件（CloudEvents 1.0）", "Post events (CloudEvents 1.0)"),
)  # fmt: skip
async def post_events(call: EventsCall) -> Reply[EventReply] | Reply[BatchReply]:
    kind = read_media_type(call.request)
    if kind == BATCHED:
        return await _post_batch(call)
    envelope = _read_envelope(call, kind)
    call.context.rate_limiter.check(call.identity.key)
    return await accept_one(call, _read_event(call, envelope, make_event_context(call)))


def _read_envelope(call: EventsCall, kind: str) -> Envelope:
    if len(call.body) > BODY_LIMIT:
        raise TooLarge
    if "ce-specversion" in call.request.headers:
        return _read_binary(call.request.headers, kind, call.body)
    if kind != STRUCTURED:
        raise WrongMediaType
    return convert(read_json(call.body), Envelope)


def _read_binary(headers: Mapping[str, str], kind: str, raw: bytes) -> Envelope:
    """Binary mode: attributes in `ce-` headers (percent-encoded), data in the body."""
    if kind != JSON and not kind.endswith("+json"):
        raise WrongMediaType
    values = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    attributes = {name: _decode_header(name, value) for name, value in values.items() if name in _ATTRIBUTES}
    envelope = convert(read_json(msgspec.json.encode(attributes)), Envelope)
    return msgspec.structs.replace(envelope, datacontenttype=kind, data=read_json(raw))


def _decode_header(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput.of(name, "This is not percent-encoded UTF-8", "不是百分号编码的 UTF-8") from None


def _read_event(call: EventsCall, envelope: Envelope, context: EventContext) -> IncomingEvent:
    event = read_event(envelope, context)
    call.identity.require_property(event.data.property)
    return event


async def _post_batch(call: EventsCall) -> Reply[BatchReply]:
    members = read_members(call.body)
    if len(members) > MAX_BATCH:
        raise TooLarge(f"A batch holds {MAX_BATCH} events at most.", f"一批最多 {MAX_BATCH} 个事件。")
    call.context.rate_limiter.check(call.identity.key, len(members))
    context = make_event_context(call)
    return Reply(await accept_each(call, [_read_member(call, raw, context) for raw in members]))


def _read_member(call: EventsCall, raw: bytes, context: EventContext) -> IncomingEvent | Problem:
    try:
        if len(raw) > BODY_LIMIT:
            raise TooLarge
        return _read_event(call, convert(read_json(raw), Envelope), context)
    except Problem as problem:
        return problem
