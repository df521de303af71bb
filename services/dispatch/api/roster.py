"""Who is on shift."""

from collections import Counter
from datetime import UTC, datetime

from msgspec import Struct

from services.dispatch.api.roles import READERS
from services.dispatch.operations.context import DispatchContext
from services.dispatch.queries.cases import open_jobs_by_person
from shared.http.endpoints import Call, Endpoints
from shared.http.pagination import Cursor, PageQuery
from shared.http.parameters import require_property
from shared.messages.facts import Instant, Word

CURSOR = Cursor("roster", tuple[datetime, str])
"""The instant of the first page, and the last person shown."""
endpoints = Endpoints()


class RosterQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which property, and as of when (None: now)."""

    property: Word
    at: Instant | None = None


class PersonOnShift(Struct, frozen=True, kw_only=True):
    """Somebody who is on shift; `load` is how many jobs occupy them now."""

    id: str
    name: str
    name_en: str
    roles: list[str]
    skills: list[str]
    rung: int
    load: int


class RosterPage(Struct, frozen=True, kw_only=True):
    """Who is on shift at an instant."""

    property: str
    at: datetime
    items: list[PersonOnShift]
    next: str | None


@endpoints.add(
    "GET", "/v1/roster", roles=READERS, summary=("当班人员", "Who is on shift, with skills and load")
)
async def get_roster(call: Call[DispatchContext, RosterQuery, None]) -> RosterPage:
    """Who is on shift at an instant, in the order of their ids."""
    query, context = call.query, call.context
    prop = require_property(context.properties, call.identity, query.property)
    after = CURSOR.decode(query.cursor)
    at = (after[0] if after else query.at or context.clock.now()).astimezone(UTC)
    async with context.database.snapshot() as connection:
        loads = (await open_jobs_by_person(connection, [prop.id])).get(prop.id, Counter())
    people = sorted(prop.on_shift(at), key=lambda person: person.id)
    page = CURSOR.make_page(
        [person for person in people if after is None or person.id > after[1]],
        query.limit,
        lambda person: (at, person.id),
        lambda person: PersonOnShift(
            id=person.id,
            name=person.name,
            name_en=person.name_en,
            roles=list(person.roles),
            skills=person.skills,
            rung=person.rung,
            load=loads.get(person.id, 0),
        ),
    )
    return RosterPage(property=prop.id, at=at, items=page.items, next=page.next)
