"""Keys are issued, listed and revoked by administrators, each within the properties of their own key."""

from datetime import datetime

from msgspec import Struct

from services.intake import queries
from services.intake.operations import api_keys
from services.intake.operations.context import IntakeContext
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotAllowed, NotFound
from shared.http.endpoints import Call, Endpoints, Reply
from shared.http.pagination import Cursor, Page, PageQuery
from shared.messages.facts import Id, Name, Word

endpoints = Endpoints()
CURSOR = Cursor("keys", tuple[str])


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


class NewKey(KeySummary):
    """A new key; the key itself is shown this once."""

    key: str = ""


@endpoints.add("POST", "/v1/keys", roles=("admin",), status=201, summary=("签发密钥", "Issue a key"))
async def post_key(call: Call[IntakeContext, None, KeyRequest]) -> NewKey:
    context, requested = call.context, call.body
    _require_grantable(context, call.identity, requested)
    identity, key = context.keyring.issue_key(
        requested.name, list(requested.roles), requested.properties, requested.person
    )
    now = context.clock.now()
    async with context.database.transaction() as connection:
        await api_keys.store_key(connection, identity, call.identity.actor, now)
    return NewKey(
        identity.key, requested.name, list(requested.roles), requested.properties, requested.person, now,
        None, key,
    )  # fmt: skip


def _require_grantable(context: IntakeContext, caller: Identity, requested: KeyRequest) -> None:
    if not requested.roles:
        raise InvalidInput.of("roles", "At least one role is needed", "至少需要一个角色")
    for index, name in enumerate(requested.properties or ()):
        if name not in context.properties:
            raise InvalidInput.of(f"properties[{index}]", "There is no such property", "物业项目不存在")
        caller.require_property(name)
    if requested.properties is None and caller.properties is not None:
        raise NotAllowed("This key can't give away all properties.", "该密钥不能授予全部物业项目的权限。")


@endpoints.add("GET", "/v1/keys", roles=("admin",), summary=("已签发的密钥", "Issued keys"))
async def get_keys(call: Call[IntakeContext, PageQuery, None]) -> Page[KeySummary]:
    after = CURSOR.decode(call.query.cursor)
    async with call.context.database.snapshot() as connection:
        keys = await queries.list_keys(connection, after[0] if after else None)
    own = [key for key in keys if _is_within(key.properties, call.identity)]
    return CURSOR.make_page(own, call.query.limit, lambda key: (key.id,), lambda key: KeySummary(*key))


def _is_within(properties: list[str] | None, caller: Identity) -> bool:
    """Whether a key reaches no further than the caller's own."""
    if caller.properties is None:
        return True
    return properties is not None and caller.properties.issuperset(properties)


@endpoints.add("DELETE", "/v1/keys/{id}", roles=("admin",), status=204, summary=("吊销密钥", "Revoke a key"))
async def delete_key(call: Call[IntakeContext, None, None]) -> Reply[None]:
    context, key_id = call.context, call.id()
    async with context.database.transaction() as connection:
        key = await queries.get_key(connection, key_id)
        if key is None or not _is_within(key.properties, call.identity):
            raise NotFound
        await api_keys.revoke_key(connection, context.outbox, key_id, context.clock.now())
        await context.revoked_keys.revoke(connection, [key_id])
    return Reply(None, 204)
