"""The people of a property's file."""

from msgspec import Struct

from services.intake.api.keys import page_limit
from shared.errors import InvalidInput
from shared.http.endpoints import Call, Endpoints

endpoints = Endpoints()


class PersonSummary(Struct):
    """A person of a property's file."""

    id: str
    name: str
    roles: list[str]
    skills: list[str]


class PeoplePage(Struct):
    """The people of a property."""

    items: list[PersonSummary]
    next: str | None


class PeopleQuery(Struct, forbid_unknown_fields=True):
    """Whose people, and of which role."""

    property: str
    role: str | None = None
    cursor: str | None = None
    limit: int = 200


@endpoints.add(
    "GET", "/v1/people", roles=("dispatcher", "quality", "operations", "manager", "engineer"),
    query=PeopleQuery, answer=PeoplePage, summary=("人员名单", "People of a property"),
)  # fmt: skip
async def get_people(call: Call) -> PeoplePage:
    asked: PeopleQuery = call.query
    call.identity.require_property(asked.property)
    property_ = call.service.properties.get(asked.property)
    if property_ is None:
        raise InvalidInput.of("property", "There is no such property", "物业项目不存在")
    limit = page_limit(asked.limit)
    wanted = [p for p in property_.people if asked.role is None or asked.role in p.roles]
    rest = sorted((p for p in wanted if p.id > (asked.cursor or "")), key=lambda person: person.id)
    items = [PersonSummary(p.id, p.name, list(p.roles), list(p.skills)) for p in rest[:limit]]
    return PeoplePage(items, items[-1].id if len(rest) > limit else None)
