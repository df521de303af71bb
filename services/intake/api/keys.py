"""Keys are issued, listed and revoked by administrators, each within the properties of their own key."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from services.intake import queries
from services.intake.operations import acceptance
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotAllowed, NotFound
from shared.http.endpoints import Call, Endpoints, Reply
from shared.ids import parse_uuid
from shared.messages.facts import Id, Name, Word

endpoints = Endpoints()
PAGE = 200


class KeyRequest(Struct, forbid_unknown_fields=True):
    """A key to be issued. `properties` left out: all."""

    name: Name
    roles: list[Role]
    properties: list[Word] | None = None
    person: Id | None = None


class KeySummary(Struct):
    """A key that was issued."""

    id: str
    name: str
    roles: list[str]
    properties: list[str] | None
    person: str | None
    issued_at: datetime
    revoked_at: datetime | None = None


class IssuedKey(KeySummary):
    """A new key with its word, which is shown this once."""

    key: str = ""


class KeyPage(Struct):
    """Keys, and where to go on."""

    items: list[KeySummary]
    next: str | None


class PageQuery(Struct, forbid_unknown_fields=True):
    """Where a list goes on, and how long a page is."""

    cursor: str | None = None
    limit: int = 50


def page_limit(limit: int) -> int:
    """`limit` of a list. Raises `InvalidInput` outside 1 to 200."""
    if not 1 <= limit <= PAGE:
        raise InvalidInput.of("limit", "This lies between 1 and 200", "应在 1 至 200 之间")
    return limit


@endpoints.add(
    "POST", "/v1/keys", roles=("admin",), body=KeyRequest, answer=IssuedKey, status=201,
    summary=("签发密钥", "Issue a key"),
)  # fmt: skip
async def post_key(call: Call) -> IssuedKey:
    service, asked = call.service, call.body
    _check(service, call.identity, asked)
    identity, key = service.keyring.issue(asked.name, asked.roles, asked.properties, asked.person)
    now = service.clock.now()
    async with service.database.transaction() as connection:
        await acceptance.store_key(connection, identity, call.identity.actor, now)
    return IssuedKey(
        identity.key, asked.name, list(asked.roles), asked.properties, asked.person, now, None, key
    )


def _check(service: Any, caller: Identity, asked: KeyRequest) -> None:
    if not asked.roles:
        raise InvalidInput.of("roles", "At least one role is needed", "至少需要一个角色")
    for index, name in enumerate(asked.properties or ()):
        if name not in service.properties:
            raise InvalidInput.of(f"properties[{index}]", "There is no such property", "物业项目不存在")
        caller.require_property(name)
    if asked.properties is None and caller.properties is not None:
        raise NotAllowed("This key can't give away all properties.", "该密钥不能授予全部物业项目的权限。")


@endpoints.add(
    "GET", "/v1/keys", roles=("admin",), query=PageQuery, answer=KeyPage,
    summary=("已签发的密钥", "Issued keys"),
)  # fmt: skip
async def get_keys(call: Call) -> KeyPage:
    limit, after = page_limit(call.query.limit), None
    if call.query.cursor and (after := parse_uuid(call.query.cursor)) is None:
        raise InvalidInput.of("cursor", "This is no cursor of this list", "游标无效")
    async with call.service.database.snapshot() as connection:
        rows = await queries.list_keys(connection, after)
    views = [_view(row) for row in rows if _within(row.properties, call.identity)]
    return KeyPage(views[:limit], views[limit - 1].id if len(views) > limit else None)


def _view(row: Any) -> KeySummary:
    return KeySummary(row.id, row.name, row.roles, row.properties, row.person, row.issued_at, row.revoked_at)


def _within(properties: list[str] | None, caller: Identity) -> bool:
    """Whether a key reaches no further than the caller's own."""
    if caller.properties is None:
        return True
    return properties is not None and caller.properties.issuperset(properties)


@endpoints.add("DELETE", "/v1/keys/{id}", roles=("admin",), status=204, summary=("吊销密钥", "Revoke a key"))
async def delete_key(call: Call) -> Reply:
    service, key = call.service, parse_uuid(call.path["id"])
    async with service.database.transaction() as connection:
        row = await queries.get_key(connection, key) if key else None
        if key is None or row is None or not _within(row.properties, call.identity):
            raise NotFound
        await acceptance.revoke_key(connection, service.outbox, key, service.clock.now())
        await service.revoke(connection, [key])
    service.committed()
    return Reply(None, 204)
