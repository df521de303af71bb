"""The stream of changes, as server-sent events."""

from msgspec import Struct
from starlette.responses import Response

from services.dispatch.api.roles import READERS
from services.dispatch.operations.change_stream import parse_position
from services.dispatch.operations.context import DispatchContext
from shared.http.endpoints import Call, Endpoints
from shared.http.event_stream import EventStream
from shared.http.parameters import list_visible_properties
from shared.messages.facts import Word

endpoints = Endpoints()


class StreamQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which property (None: all that the key sees)."""

    property: Word | None = None


@endpoints.add(
    "GET", "/v1/cases/stream", roles=READERS,
    summary=("工单变更流（SSE）", "Changes as server-sent events, resumable with Last-Event-ID"),
)  # fmt: skip
async def get_change_stream(call: Call[DispatchContext, StreamQuery, None]) -> Response:
    """Every step of every case that the caller sees, from now or from `Last-Event-ID` on."""
    visible = list_visible_properties(call.context.properties, call.identity, call.query.property)
    after = parse_position(call.request.headers.get("last-event-id"))
    names = None if visible is None else frozenset(visible)
    events = call.context.change_stream.watch(after, lambda name: names is None or name in names)
    return EventStream(events)
