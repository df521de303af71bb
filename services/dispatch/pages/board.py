"""The board: the reader's filters with their options, and the rows or cards of the cases that pass them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlencode

from msgspec import Meta, Struct, field, to_builtins
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case, HistoryEntry
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
from services.dispatch.queries.cases import CaseFilter, StoredCase, count_folded, get_cases, list_cases
from services.dispatch.queries.histories import get_histories
from services.dispatch.schemas import may_see_contacts
from shared.auth import Identity
from shared.http.parameters import list_visible_properties
from shared.messages.facts import Kind
from shared.properties.property import Property

BOARD_LIMIT = 200
"""How many cases a board shows, those due first; who has more filters them."""
SEARCH_LIMIT = 2000
"""Among how many, the latest, these are searched."""
OFFICE_ROLES = ("dispatcher", "quality", "operations", "manager")
Word = Annotated[str, Meta(max_length=100)]


class BoardFilters(Struct, frozen=True, kw_only=True):
    """Which cases the board shows; `ids` narrows it to those of these that pass the other filters."""

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
    def are_set(self) -> bool:
        """Whether anything is filtered out."""
        return any((self.prop, self.kind, self.state, self.assignee, self.q))


class JobCard(Struct, frozen=True, kw_only=True):
    """A case on a phone: all of it, and what may be done."""

    page: CasePage
    forms: list[ActionForm]


class Board(Struct, frozen=True, kw_only=True):
    """Groups of rows; `cards` by case where these are somebody's own jobs; `more`: some are left out."""

    groups: list[RowGroup]
    cards: dict[str, JobCard]
    more: bool

    @property
    def count(self) -> int:
        """How many cases the board shows."""
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
    """Whether the board shows the reader's own jobs: whoever works out in the building sees them first."""
    if filters.view is not None:
        return filters.view == "mine"
    return not identity.has_role(*OFFICE_ROLES)


async def load_board(
    connection: AsyncConnection, localizer: Localizer, identity: Identity, filters: BoardFilters
) -> Board:
    """The cases that pass the filters. Those folded into another are counted there, unless searched for."""
    mine = shows_own_jobs(identity, filters)
    if mine and identity.person is None:
        return Board(groups=group_rows(localizer, [], mine=True), cards={}, more=False)
    case_filter = await _case_filter(connection, localizer, identity, filters, mine=mine)
    cases = await list_cases(connection, case_filter)
    page = sorted(cases, key=lambda stored: sort_key(localizer, stored.case))[:BOARD_LIMIT]
    folded = await count_folded(connection, [stored.case.id for stored in page])
    cards = await _cards(connection, localizer, identity, page, folded) if mine else {}
    rows = [card.page.row for card in cards.values()]
    if not mine:
        rows = await _rows(connection, localizer, page, folded)
    return Board(groups=group_rows(localizer, rows, mine=mine), cards=cards, more=len(cases) > BOARD_LIMIT)


async def _case_filter(
    connection: AsyncConnection,
    localizer: Localizer,
    identity: Identity,
    filters: BoardFilters,
    *,
    mine: bool,
) -> CaseFilter:
    ids = None if filters.ids is None else filters.ids.lower().split(",")[:BOARD_LIMIT]
    if ids:
        ids += [case.parent for case, _ in await get_cases(connection, ids) if case.parent]
    return CaseFilter(
        properties=list_visible_properties(localizer.catalog.properties, identity, filters.prop),
        kind=filters.kind,
        state=filters.state,
        is_open=True,
        assignee=identity.person if mine else filters.assignee,
        words=filters.q,
        folded=bool(filters.state or filters.q),
        ids=ids,
        limit=SEARCH_LIMIT,
    )


async def _rows(
    connection: AsyncConnection, localizer: Localizer, page: Sequence[StoredCase], folded: Mapping[str, int]
) -> list[BoardRow]:
    paused = [stored.case.id for stored in page if _is_paused(localizer, stored.case)]
    histories = await get_histories(connection, paused) if paused else {}
    return [
        board_row(
            localizer,
            stored,
            waiting_reason(histories.get(stored.case.id, []), stored.case.state),
            folded=folded.get(stored.case.id, 0),
        )
        for stored in page
    ]


def _is_paused(localizer: Localizer, case: Case) -> bool:
    return pauses_deadline(localizer.catalog.workflow_of(case), case.state)


async def _cards(
    connection: AsyncConnection,
    localizer: Localizer,
    identity: Identity,
    page: Sequence[StoredCase],
    folded: Mapping[str, int],
) -> dict[str, JobCard]:
    histories = await get_histories(connection, [stored.case.id for stored in page])
    return {stored.case.id: job_card(localizer, identity, stored, histories, folded) for stored in page}


def job_card(
    localizer: Localizer,
    identity: Identity,
    stored: StoredCase,
    histories: Mapping[str, Sequence[HistoryEntry]],
    folded: Mapping[str, int],
) -> JobCard:
    """A case as a card of the reader's own jobs."""
    case, contacts = stored.case, may_see_contacts(stored.case, identity)
    history, count = histories.get(case.id, []), folded.get(case.id, 0)
    return JobCard(
        page=case_page(localizer, stored, history, {}, contacts=contacts, mine=True, folded=count),
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
    visible = [prop for prop in localizer.catalog.properties.values() if identity.may_see(prop.id)]
    chosen = [prop for prop in visible if filters.prop in (None, prop.id)]
    return FilterOptions(
        properties=[Choice(prop.id, localizer.property(prop.id)) for prop in visible],
        kinds=[Choice(kind, localizer.kind(kind)) for kind in localizer.catalog.kinds],
        states=_state_options(localizer),
        people=_people_options(localizer, chosen),
    )


def _state_options(localizer: Localizer) -> list[Choice]:
    names: dict[str, dict[str, None]] = {}
    for workflow in localizer.catalog.current_workflows:
        for state in workflow.states:
            if workflow.is_open(state):
                names.setdefault(state, {})[localizer.state(workflow, state)] = None
    return [Choice(state, " / ".join(state_names)) for state, state_names in names.items()]


def _people_options(localizer: Localizer, properties: Sequence[Property]) -> list[Choice]:
    people = {person.id: prop.id for prop in properties for person in prop.people}
    return [Choice(person, localizer.person(prop, person)) for person, prop in people.items()]
