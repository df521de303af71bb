"""What a page lists: the reader's filters, the rows or cards that they leave, and what may be chosen."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

from msgspec import Meta, Struct, field, to_builtins
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch import queries
from services.dispatch.domain.case import HistoryEntry
from services.dispatch.pages.action_forms import ActionForm, Choice, action_forms
from services.dispatch.pages.board_rows import (
    BoardRow,
    RowGroup,
    board_row,
    group_rows,
    pauses_deadline,
    sort_key,
    waiting_reason,
)
from services.dispatch.pages.case_page import CasePage, case_page
from services.dispatch.pages.localizer import Localizer
from services.dispatch.queries import CaseFilter, StoredCase
from services.dispatch.schemas import may_see_contacts
from shared.auth import Identity
from shared.http.parameters import visible_properties
from shared.messages.facts import Kind
from shared.properties.property import Property

MOST = 200
"""How many cases a board shows, those due first; who has more filters them."""
LOOKED_AT = 2000
"""Among how many, the latest, these are looked for."""
OFFICE = ("dispatcher", "quality", "operations", "manager")
Word = Annotated[str, Meta(max_length=100)]


class BoardFilters(Struct, frozen=True, kw_only=True):
    """Which cases the reader wants to see; `ids` asks for these alone, as far as the rest leaves them."""

    view: Literal["mine", "all"] | None = None
    prop: Word | None = field(default=None, name="property")
    kind: Kind | None = None
    state: Word | None = None
    assignee: Word | None = None
    q: Word | None = None
    ids: Annotated[str, Meta(max_length=8000)] | None = None

    @property
    def query(self) -> str:
        """The filters as a query, without `ids`."""
        return urlencode(
            {name: value for name, value in to_builtins(self).items() if value and name != "ids"}
        )

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return any((self.prop, self.kind, self.state, self.assignee, self.q))


class JobCard(Struct, frozen=True, kw_only=True):
    """A case on a phone: all of it, and what may be done."""

    sheet: CasePage
    forms: list[ActionForm]


class Board(Struct, frozen=True, kw_only=True):
    """What is listed: groups of rows; `cards` by case where these are somebody's own jobs."""

    groups: list[RowGroup]
    cards: dict[str, JobCard]
    more: bool

    @property
    def count(self) -> int:
        """How many are listed."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def late(self) -> int:
        """How many of them are past their next deadline."""
        return sum(row.deadline is not None and row.deadline.tone == "bad" for row in self.rows)

    @property
    def rows(self) -> list[BoardRow]:
        """All rows."""
        return [row for group in self.groups for row in group.rows]


def shows_own_jobs(identity: Identity, filters: BoardFilters) -> bool:
    """Whether the reader's own jobs are asked for: whoever is out in the building sees them first."""
    if filters.view is not None:
        return filters.view == "mine"
    return not identity.may(*OFFICE)


async def load_board(
    connection: AsyncConnection, localizer: Localizer, identity: Identity, filters: BoardFilters
) -> Board:
    """The cases that the filters leave. What is folded into another is counted there, unless looked for."""
    mine = shows_own_jobs(identity, filters)
    if mine and identity.person is None:
        return Board(groups=group_rows(localizer, [], mine=True), cards={}, more=False)
    found = await queries.list_cases(
        connection, await _case_filter(connection, localizer, identity, filters, mine=mine)
    )
    page = sorted(found, key=lambda one: sort_key(localizer, one.case))[:MOST]
    folded = await queries.count_folded(connection, [one.case.id for one in page])
    cards = await _cards(connection, localizer, identity, page, folded) if mine else {}
    rows = [card.sheet.row for card in cards.values()]
    if not mine:
        rows = await _rows(connection, localizer, page, folded)
    return Board(groups=group_rows(localizer, rows, mine=mine), cards=cards, more=len(found) > MOST)


async def _case_filter(
    connection: AsyncConnection,
    localizer: Localizer,
    identity: Identity,
    filters: BoardFilters,
    *,
    mine: bool,
) -> CaseFilter:
    ids = None if filters.ids is None else filters.ids.lower().split(",")[:MOST]
    if ids:
        ids += [one.case.parent for one in await queries.get_cases(connection, ids) if one.case.parent]
    return CaseFilter(
        properties=visible_properties(localizer.catalog.properties, identity, filters.prop),
        kind=filters.kind,
        state=filters.state,
        is_open=True,
        assignee=identity.person if mine else filters.assignee,
        words=filters.q,
        folded=bool(filters.state or filters.q),
        ids=ids,
        limit=LOOKED_AT,
    )


async def _rows(
    connection: AsyncConnection, localizer: Localizer, page: Sequence[StoredCase], folded: Mapping[str, int]
) -> list[BoardRow]:
    waiting = [one.case.id for one in page if pauses_deadline(localizer.catalog.of(one.case), one.case.state)]
    histories = await queries.get_histories(connection, waiting) if waiting else {}
    reasons = {one.case.id: waiting_reason(histories.get(one.case.id, []), one.case.state) for one in page}
    return [
        board_row(localizer, one, reasons[one.case.id], folded=folded.get(one.case.id, 0)) for one in page
    ]


async def _cards(
    connection: AsyncConnection,
    localizer: Localizer,
    identity: Identity,
    page: Sequence[StoredCase],
    folded: Mapping[str, int],
) -> dict[str, JobCard]:
    histories = await queries.get_histories(connection, [one.case.id for one in page])
    return {one.case.id: job_card(localizer, identity, one, histories, folded) for one in page}


def job_card(
    localizer: Localizer,
    identity: Identity,
    one: StoredCase,
    histories: Mapping[str, Sequence[HistoryEntry]],
    folded: Mapping[str, int],
) -> JobCard:
    """A case as a card of the reader's own jobs."""
    case, contacts = one.case, may_see_contacts(one.case, identity)
    past, count = histories.get(case.id, []), folded.get(case.id, 0)
    return JobCard(
        sheet=case_page(localizer, one, past, {}, contacts=contacts, mine=True, folded=count),
        forms=action_forms(localizer, case, identity),
    )


class FilterOptions(Struct, frozen=True, kw_only=True):
    """What may be chosen in the filters."""

    properties: list[Choice]
    kinds: list[Choice]
    states: list[Choice]
    people: list[Choice]


def filter_options(localizer: Localizer, identity: Identity, filters: BoardFilters) -> FilterOptions:
    """What there is to filter by, for this reader."""
    seen = [prop for prop in localizer.catalog.properties.values() if identity.sees(prop.id)]
    shown = [prop for prop in seen if filters.prop in (None, prop.id)]
    return FilterOptions(
        properties=[Choice(prop.id, localizer.property(prop.id)) for prop in seen],
        kinds=[Choice(kind, localizer.kind(kind)) for kind in get_args(Kind)],
        states=_states(localizer),
        people=_people(localizer, shown),
    )


def _states(localizer: Localizer) -> list[Choice]:
    names: dict[str, dict[str, None]] = {}
    for workflow in localizer.workflows():
        for state in workflow.states:
            if workflow.is_open(state):
                names.setdefault(state, {})[localizer.state(workflow, state)] = None
    return [Choice(state, " / ".join(told)) for state, told in names.items()]


def _people(localizer: Localizer, properties: Sequence[Property]) -> list[Choice]:
    people = {person.id: prop.id for prop in properties for person in prop.people}
    return [Choice(person, localizer.person(prop, person)) for person, prop in people.items()]
