"""The way in: endpoints answer errors themselves, so requests go to them past the framework's layers."""

from collections.abc import Sequence

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Router:
    """An ASGI application: `endpoints` by path, those without parts first; `rest` takes what is left."""

    def __init__(self, endpoints: Sequence[Route], rest: ASGIApp) -> None:
        self._plain = {route.path: route.app for route in endpoints if "{" not in route.path}
        self._others = [(route.path_regex, route.app) for route in endpoints if "{" in route.path]
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._endpoint(scope) if scope["type"] == "http" else None
        await (app or self._rest)(scope, receive, send)

    def _endpoint(self, scope: Scope) -> ASGIApp | None:
        path = scope["path"]
        if (app := self._plain.get(path)) is not None:
            return app
        for pattern, app in self._others:
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return app
        return None
