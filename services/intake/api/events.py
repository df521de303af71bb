"""Events come in as CloudEvents 1.0 over HTTP, in structured, batch and binary mode."""

from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.datastructures import Headers

from services.intake.api.replies import POSTERS, BatchReply, EventReply, accept_each, single_reply
from services.intake.domain.incoming_event import Envelope, IncomingEvent, read_event
from shared.errors import InvalidInput, Problem, TooLarge, WrongMediaType
from shared.http.endpoints import BODY_LIMIT, JSON, Call, Endpoints, Reply, language_of, media_type
from shared.http.json_input import decode, sanitize

BATCH = 1000
BATCH_BYTES = 1024 * 1024
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

endpoints = Endpoints()
_ATTRIBUTES = set(Envelope.__struct_fields__) - {"data", "data_base64", "datacontenttype"}


@endpoints.add(
    "POST", "/v1/events", roles=POSTERS, body=bytes, limit=BATCH_BYTES, status=202,
    answer=EventReply, other_answers={200: BatchReply}, types=(STRUCTURED, BATCHED, JSON),
    summary=("提交事件（CloudEvents 1.0）", "Post events (CloudEvents 1.0)"),
)  # fmt: skip
async def post_events(call: Call) -> Reply:
    headers = call.request.headers
    kind = media_type(call.request)
    if kind == BATCHED:
        return await _post_batch(call)
    if len(call.raw) > BODY_LIMIT:
        raise TooLarge
    if "ce-specversion" in headers:
        envelope = _binary(headers, kind, call.raw)
    elif kind == STRUCTURED:
        envelope = _structured(call.raw)
    else:
        raise WrongMediaType
    call.service.acceptor.check_rate(call.identity, 1)
    return single_reply(await call.service.acceptor.accept(_read(call, envelope)))


def _structured(raw: bytes) -> Envelope:
    envelope: Envelope = decode(sanitize(raw), Envelope)
    return envelope


def _binary(headers: Headers, kind: str, raw: bytes) -> Envelope:
    """Binary mode: attributes in `ce-` headers (percent-encoded), data in the body."""
    if kind != JSON and not kind.endswith("+json"):
        raise WrongMediaType
    told = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    attributes = {name: _decode_header(name, value) for name, value in told.items() if name in _ATTRIBUTES}
    envelope: Envelope = decode(sanitize(msgspec.json.encode(attributes)), Envelope)
    return msgspec.structs.replace(envelope, datacontenttype=kind, data=msgspec.Raw(sanitize(raw)))


def _decode_header(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput.of(name, "This is not percent-encoded UTF-8", "不是百分号编码的 UTF-8") from None


def _read(call: Call, envelope: Envelope) -> IncomingEvent:
    service, by = call.service, call.identity.name
    offer = read_event(envelope, by=by, now=service.clock.now(), properties=service.properties)
    call.identity.require_property(offer.data.property)
    return offer


async def _post_batch(call: Call) -> Reply:
    members: list[msgspec.Raw] = decode(call.raw, list[msgspec.Raw])
    if len(members) > BATCH:
        raise TooLarge(f"A batch holds {BATCH} events at most.", f"一批最多 {BATCH} 个事件。")
    call.service.acceptor.check_rate(call.identity, len(members))
    read = [_try_read(call, bytes(raw)) for raw in members]
    results: list[Any] = list(await accept_each(call.service.acceptor, read, language_of(call.request)))
    return Reply({"results": results})


def _try_read(call: Call, raw: bytes) -> IncomingEvent | Problem:
    try:
        if len(raw) > BODY_LIMIT:
            raise TooLarge
        return _read(call, _structured(raw))
    except Problem as problem:
        return problem
