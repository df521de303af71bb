"""The people of a property's file."""

from msgspec import Struct

from services.intake.operations.context import IntakeContext
from shared.http.endpoints import Call, Endpoints
from shared.http.pagination import Cursor, Page, PageQuery
from shared.http.parameters import require_property
from shared.messages.facts import Word
from shared.properties.roster import Person

endpoints = Endpoints()
CURSOR = Cursor("people", tuple[str])


class PersonSummary(Struct):
    """A person of a property's file."""

    id: str
    name: str
    roles: list[str]
    skills: list[str]


class PeopleQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose people, and of which role."""

    property: Word
    role: Word | None = None


@endpoints.add(
    "GET", "/v1/people", roles=("dispatcher", "quality", "operations", "manager", "engineer"),
    summary=("人员名单", "People of a property"),
)  # fmt: skip
async def get_people(call: Call[IntakeContext, PeopleQuery, None]) -> Page[PersonSummary]:
    query = call.query
    prop = require_property(call.context.properties, call.identity, query.property)
    after = CURSOR.decode(query.cursor) or ("",)
    people = [person for person in prop.people if query.role is None or query.role in person.roles]
    rest = sorted((p for p in people if p.id > after[0]), key=lambda person: person.id)
    return CURSOR.make_page(rest, query.limit, lambda person: (person.id,), _summarize_person)


def _summarize_person(person: Person) -> PersonSummary:
    return PersonSummary(person.id, person.name, list(person.roles), list(person.skills))
