"""dispatch over HTTP: cases and their actions, the stream of changes, who is on shift."""

from services.dispatch.api import cases, change_stream, roster
from shared.http.endpoints import Endpoint

endpoints: list[Endpoint] = [*cases.endpoints, *change_stream.endpoints, *roster.endpoints]
