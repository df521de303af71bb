"""intake over HTTP: events in three CloudEvents modes, plain demands, Alertmanager, what became of a demand, keys, people."""

import uuid
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Struct, field

from services.intake import operations, queries
from services.intake.doors import Doors
from services.intake.offers import Envelope, Offer, alertmanager_states, make_offer, read_event
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotAllowed, NotFound, Problem, TooLarge, WrongMediaType
from shared.ids import new_id
from shared.messages import DemandRaised
from shared.messages.facts import EquipmentState, Id, Name, Word
from shared.reading import cleaned, decoded, field_error
from shared.web import BODY_LIMIT, Answer, Call, Endpoints, language_of

BATCH = 1000
BATCH_BYTES = 1024 * 1024
POSTERS: tuple[Role, ...] = ("source", "dispatcher", "quality", "operations", "manager")
endpoints = Endpoints()

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
JSON = "application/json"


class Taken(Struct, omit_defaults=True):
    """The answer to one event."""

    status: Literal["accepted", "duplicate", "rejected"]
    source: str | None = None
    id: str | None = None
    demand: str | None = None
    problem: dict[str, Any] | None = None


class BatchAnswer(Struct):
    """The answer to a batch: one result each, in order."""

    results: list[Taken]


class CaseView(Struct):
    """What became of a demand."""

    id: str
    number: str
    state: str
    open: bool
    next_deadline: dict[str, Any] | None


class DemandView(Struct):
    """A demand as its sender may see it."""

    id: str
    property: str
    kind: str
    source: str
    event: str
    reference: str | None
    summary: str
    raised_at: datetime
    accepted_at: datetime
    case: CaseView | None


@endpoints.add(
    "POST", "/v1/events", roles=POSTERS, body=bytes, limit=BATCH_BYTES, status=202, answer=Taken,
    types=(STRUCTURED, BATCHED, JSON),
    summary=("提交事件（CloudEvents 1.0）", "Post events (CloudEvents 1.0)"),
)  # fmt: skip
async def post_events(call: Call) -> Answer:
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    doors: Doors = call.service.doors
    if kind == BATCHED:
        return await _post_batch(call, doors)
    _check_size(call)
    envelope = _binary(call) if "ce-specversion" in call.request.headers else _structured(call, kind)
    doors.check_rate(call.identity, 1)
    return _single(await doors.accept(_read(call, envelope)))


def _check_size(call: Call) -> None:
    if len(call.raw) > BODY_LIMIT:
        raise TooLarge


def _structured(call: Call, kind: str) -> Envelope:
    if kind != STRUCTURED:
        raise WrongMediaType
    envelope: Envelope = decoded(cleaned(call.raw), Envelope)
    return envelope


def _binary(call: Call) -> Envelope:
    """Binary mode: attributes in `ce-` headers (percent-encoded), data in the body."""
    kind = call.request.headers.get("content-type", JSON)
    plain = kind.partition(";")[0].strip().lower()
    if plain != JSON and not plain.endswith("+json"):
        raise WrongMediaType
    known = set(Envelope.__struct_fields__) - {"data", "data_base64", "datacontenttype"}
    attributes: dict[str, Any] = {
        name[3:]: unquote(value, errors="strict") if "%" in value else value
        for name, value in call.request.headers.items()
        if name.startswith("ce-") and name[3:] in known
    }
    attributes["datacontenttype"] = plain
    try:
        envelope = msgspec.convert(attributes, Envelope, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error)]) from None
    return msgspec.structs.replace(envelope, data=msgspec.Raw(cleaned(call.raw)))


def _read(call: Call, envelope: Envelope) -> Offer:
    service = call.service
    offer = read_event(
        envelope, by=call.identity.name, now=service.clock.now(), properties=service.properties
    )
    call.identity.require_property(offer.data.property)
    return offer


def _single(accepted: operations.Accepted) -> Answer:
    headers = {"Location": f"/v1/demands/{accepted.demand}"} if accepted.demand else {}
    return Answer(accepted, 202, headers)


async def _post_batch(call: Call, doors: Doors) -> Answer:
    members: list[msgspec.Raw] = decoded(cleaned(call.raw), list[msgspec.Raw])
    if len(members) > BATCH:
        raise TooLarge(f"A batch holds {BATCH} events at most.", f"一批最多 {BATCH} 个事件。")
    doors.check_rate(call.identity, len(members))
    language = language_of(call.request)
    outcomes: list[Offer | Problem] = [_try_read(call, raw) for raw in members]
    offers = [outcome for outcome in outcomes if isinstance(outcome, Offer)]
    answers = iter(await doors.accept_all(offers))
    results: list[Any] = []
    for outcome in outcomes:
        result = next(answers) if isinstance(outcome, Offer) else outcome
        if isinstance(result, Problem):
            name = outcome.name if isinstance(outcome, Offer) else (None, None)
            results.append(Taken("rejected", *name, problem=result.document(language)))
        elif isinstance(result, Exception):
            raise result
        else:
            results.append(result)
    return Answer({"results": results})


def _try_read(call: Call, raw: msgspec.Raw) -> Offer | Problem:
    try:
        return _read(call, decoded(bytes(raw), Envelope))
    except Problem as problem:
        return problem


@endpoints.add(
    "POST", "/v1/demands", roles=POSTERS, body=DemandRaised, answer=Taken, status=202,
    summary=("提交需求", "Post a demand"),
)  # fmt: skip
async def post_demand(call: Call) -> Answer:
    kind = call.request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        raise WrongMediaType
    service = call.service
    service.doors.check_rate(call.identity, 1)
    call.identity.require_property(call.body.property)
    offer = make_offer(
        f"key/{call.identity.name}", call.idempotency_key or new_id(), "guanjia.demand.raised.v1", None, call.body,
        by=call.identity.name, now=service.clock.now(), properties=service.properties,
    )  # fmt: skip
    return _single(await service.doors.accept(offer))


@endpoints.add(
    "GET", "/v1/demands/{id}", roles=POSTERS, answer=DemandView,
    summary=("查询需求及其进展", "A demand and what became of it"),
)  # fmt: skip
async def get_demand(call: Call) -> DemandView:
    demand_id = uuid_of(call.path["id"])
    async with call.service.database.read() as connection:
        row = await queries.demand(connection, demand_id)
    if row is None or not (call.identity.sees(row.property) or row.accepted_by == call.identity.name):
        raise NotFound
    return _demand_view(row)


def _demand_view(row: Any) -> DemandView:
    case = None
    if row.number is not None:
        waiting = [d for d in row.deadlines if d["met_at"] is None] if row.open else []
        case = CaseView(
            row.id, row.number, row.state, row.open, min(waiting, key=lambda d: d["due_at"], default=None)
        )
    return DemandView(
        id=row.id, property=row.property, kind=row.kind, source=row.source, event=row.event, reference=row.reference,
        summary=msgspec.json.decode(row.data)["summary"], raised_at=row.raised_at, accepted_at=row.accepted_at,
        case=case,
    )  # fmt: skip


def uuid_of(text: str) -> str:
    """`text` as the identifier it is. Raises `NotFound` where it is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NotFound from None


class Alert(Struct):
    """One alert of the Alertmanager webhook, version 4."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    startsAt: datetime
    endsAt: datetime
    fingerprint: str


class AlertmanagerPost(Struct):
    """The Alertmanager webhook, version 4."""

    version: Literal["4"]
    alerts: list[Alert]


class AlertmanagerQuery(Struct, forbid_unknown_fields=True):
    """Which property the alerts are about, where no label `property` says so."""

    property: str | None = None


@endpoints.add(
    "POST", "/v1/alertmanager", roles=("source",), body=AlertmanagerPost, answer=BatchAnswer, limit=BATCH_BYTES,
    query=AlertmanagerQuery, summary=("Alertmanager 告警接入", "Take Alertmanager alerts"),
)  # fmt: skip
async def post_alertmanager(call: Call) -> Answer:
    call.service.doors.check_rate(call.identity, len(call.body.alerts))
    offers = [_alert_offer(call, alert, index) for index, alert in enumerate(call.body.alerts)]
    results = await call.service.doors.accept_all(offers)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return Answer({"results": results})


def _alert_offer(call: Call, alert: Alert, index: int) -> Offer:
    service = call.service
    own = call.identity.properties if call.identity.properties is not None else frozenset(service.properties)
    property_id = (
        alert.labels.get("property") or call.query.property or (next(iter(own)) if len(own) == 1 else None)
    )
    if property_id is None:
        raise InvalidInput.of(
            f"alerts[{index}].labels.property", "This label is required", "缺少 property 标签"
        )
    call.identity.require_property(property_id)
    word, at, data = alertmanager_states(alert, property_id)
    return make_offer(
        f"alertmanager/{call.identity.name}", word[:256], "guanjia.equipment.state.v1", at,
        msgspec.convert(data, EquipmentState), by=call.identity.name, now=service.clock.now(),
        properties=service.properties,
    )  # fmt: skip


class KeyRequest(Struct, forbid_unknown_fields=True):
    """A key to be issued. `properties` left out: all."""

    name: Name
    roles: list[Role]
    properties: list[Word] | None = None
    person: Id | None = None


class KeyView(Struct):
    """A key that was issued."""

    id: str
    name: str
    roles: list[str]
    properties: list[str] | None
    person: str | None
    issued_at: datetime
    revoked_at: datetime | None = None


class NewKey(KeyView):
    """A new key with its word, which is shown this once."""

    key: str = ""


class KeyPage(Struct):
    """Keys, and where to go on."""

    items: list[KeyView]
    next: str | None


class PageQuery(Struct, forbid_unknown_fields=True):
    """Where a list goes on, and how long a page is."""

    cursor: str | None = None
    limit: int = field(default=50)


@endpoints.add("POST", "/v1/keys", roles=("admin",), body=KeyRequest, answer=NewKey, status=201,
               summary=("签发密钥", "Issue a key"))  # fmt: skip
async def post_key(call: Call) -> NewKey:
    service, asked = call.service, call.body
    _check_key(service, call.identity, asked)
    identity, key = service.keyring.issue(asked.name, asked.roles, asked.properties, asked.person)
    now = service.clock.now()
    async with service.database.begin() as connection:
        await operations.store_key(connection, identity, call.identity.actor, now)
    return NewKey(identity.key, asked.name, list(asked.roles), asked.properties, asked.person, now, None, key)


def _check_key(service: Any, caller: Identity, asked: KeyRequest) -> None:
    if not asked.roles:
        raise InvalidInput.of("roles", "At least one role is needed", "至少需要一个角色")
    for index, name in enumerate(asked.properties or ()):
        if name not in service.properties:
            raise InvalidInput.of(f"properties[{index}]", "There is no such property", "物业项目不存在")
        caller.require_property(name)
    if asked.properties is None and caller.properties is not None:
        raise NotAllowed("This key can't give away all properties.", "该密钥不能授予全部物业项目的权限。")


@endpoints.add("GET", "/v1/keys", roles=("admin",), query=PageQuery, answer=KeyPage,
               summary=("已签发的密钥", "Issued keys"))  # fmt: skip
async def get_keys(call: Call) -> KeyPage:
    limit = page_limit(call.query.limit)
    after = uuid_of(call.query.cursor) if call.query.cursor else None
    async with call.service.database.read() as connection:
        rows = await queries.keys(connection, after, limit + 1)
    items = [
        KeyView(r.id, r.name, r.roles, r.properties, r.person, r.issued_at, r.revoked_at)
        for r in rows[:limit]
    ]
    return KeyPage(items, items[-1].id if len(rows) > limit else None)


def page_limit(limit: int) -> int:
    """`limit` of a list. Raises `InvalidInput` outside 1 to 200."""
    if not 1 <= limit <= 200:
        raise InvalidInput.of("limit", "This lies between 1 and 200", "应在 1 至 200 之间")
    return limit


@endpoints.add("DELETE", "/v1/keys/{id}", roles=("admin",), status=204, summary=("吊销密钥", "Revoke a key"))
async def delete_key(call: Call) -> Answer:
    service, key = call.service, uuid_of(call.path["id"])
    async with service.database.begin() as connection:
        await operations.revoke_key(connection, service.outbox, key, service.clock.now())
        await service.revoke(connection, [key])
    service.committed()
    return Answer(None, 204)


class PersonView(Struct):
    """A person of a property's file."""

    id: str
    name: str
    roles: list[str]
    skills: list[str]


class PeoplePage(Struct):
    """The people of a property."""

    items: list[PersonView]
    next: str | None


class PeopleQuery(Struct, forbid_unknown_fields=True):
    """Whose people, and of which role."""

    property: str
    role: str | None = None
    cursor: str | None = None
    limit: int = 200


@endpoints.add("GET", "/v1/people", roles=("dispatcher", "quality", "operations", "manager", "engineer"),
               query=PeopleQuery, answer=PeoplePage, summary=("人员名单", "People of a property"))  # fmt: skip
async def get_people(call: Call) -> PeoplePage:
    property_ = call.service.properties.get(call.query.property)
    call.identity.require_property(call.query.property)
    if property_ is None:
        raise InvalidInput.of("property", "There is no such property", "物业项目不存在")
    limit, after = page_limit(call.query.limit), call.query.cursor or ""
    people = sorted((p for p in property_.people if p.id > after), key=lambda person: person.id)
    people = [p for p in people if call.query.role is None or call.query.role in p.roles]
    items = [PersonView(p.id, p.name, list(p.roles), list(p.skills)) for p in people[:limit]]
    return PeoplePage(items, items[-1].id if len(people) > limit else None)
