"""Pages of dispatch: the board with its live rows, the page of a case, and the forms by which people act."""

import re
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.dispatch.api.roles import ACTORS, READERS
from services.dispatch.domain.case import Case, ReportedAction
from services.dispatch.domain.commands import PerformAction
from services.dispatch.operations.case_actions import SubmittedAction
from services.dispatch.operations.context import DispatchContext
from services.dispatch.pages.action_forms import FilledForm, action_forms, people_to_act_for, read_filled_form
from services.dispatch.pages.board import BoardFilters, filter_options, job_card, load_board, shows_own_jobs
from services.dispatch.pages.case_page import case_page
from services.dispatch.pages.flash import FlashMessage, flash_for
from services.dispatch.pages.localizer import Localizer, check_texts
from services.dispatch.queries.cases import (
    StoredCase,
    count_folded,
    find_case_by_number,
    get_case,
    linked_cases,
    open_jobs_by_person,
)
from services.dispatch.queries.histories import get_histories
from services.dispatch.schemas import actor_for, may_see_contacts
from shared.auth import Identity
from shared.errors import NotAllowed, NotFound, Problem
from shared.http.idempotency import request_digest
from shared.http.parameters import read_query
from shared.http.requests import read_language
from shared.pages.layout import HEADERS, PageRenderer
from shared.pages.sign_in import read_form
from shared.telemetry import current_trace

STATIC = Path(__file__).resolve().parent / "static"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[A-Z]{2}-\d{6}-[0-9A-Z]{6}")


class BoardPages:
    """The pages for those who see cases; `service` is dispatch."""

    def __init__(self, service: DispatchContext, pages: PageRenderer) -> None:
        check_texts(pages.texts)
        self._service = service
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        require_sign_in = self._pages.require_sign_in
        return [
            Route("/", require_sign_in(self._get_board, *READERS), methods=["GET"]),
            Route("/board/cases", require_sign_in(self._get_cases, *READERS), methods=["GET"]),
            Mount("/board/static", StaticFiles(directory=STATIC)),
            Route("/cases/{id}", require_sign_in(self._get_case, *READERS), methods=["GET"]),
            Route("/cases/{id}/act", require_sign_in(self._post_action, *ACTORS), methods=["POST"]),
        ]

    async def _get_board(self, request: Request, identity: Identity) -> Response:
        """Everything that is open, or the reader's own jobs; the page keeps itself up to date."""
        localizer, filters = self._localizer(request), _filters(request)
        async with self._service.database.snapshot() as connection:
            board = await load_board(connection, localizer, identity, filters)
        return self._pages.render(
            request,
            "board.html",
            identity=identity,
            board=board,
            filters=filters,
            mine=shows_own_jobs(identity, filters),
            options=filter_options(localizer, identity, filters),
            show_property=len(_visible_properties(localizer, identity)) > 1,
            property_name=_only_property(localizer, identity),
            now=localizer.now.isoformat(),
        )

    async def _get_cases(self, request: Request, identity: Identity) -> Response:
        """The rows or cards that pass the filters, for a page that has the others already."""
        localizer, filters = self._localizer(request), _filters(request)
        async with self._service.database.snapshot() as connection:
            board = await load_board(connection, localizer, identity, filters)
        return self._pages.render(
            request,
            "cases.html",
            identity=identity,
            board=board,
            mine=shows_own_jobs(identity, filters),
            show_property=len(_visible_properties(localizer, identity)) > 1,
        )

    async def _get_case(self, request: Request, identity: Identity) -> Response:
        """The page of one case."""
        async with self._service.database.snapshot() as connection:
            stored = await self._load_case(connection, request, identity)
            return await self._render_case(connection, request, identity, stored)

    async def _post_action(self, request: Request, identity: Identity) -> Response:
        """Take the step that a form asks for, then show what became of the case."""
        form = await read_form(request)
        async with self._service.database.snapshot() as connection:
            stored = await self._load_case(connection, request, identity)
        try:
            await self._submit_action(identity, stored.case, await self._read_form(stored.case, form))
            problem = None
        except Problem as error:
            problem = error
        return await self._show_outcome(request, identity, form, problem)

    async def _show_outcome(
        self, request: Request, identity: Identity, form: dict[str, str], problem: Problem | None
    ) -> Response:
        async with self._service.database.snapshot() as connection:
            stored = await self._load_case(connection, request, identity)
            if problem is None and "hx-request" not in request.headers:
                return RedirectResponse(f"/cases/{stored.case.id}", 303, headers=HEADERS)
            localizer = self._localizer(request)
            flash = flash_for(localizer, stored.case, form, problem)
            if form.get("card"):
                return await self._render_card(connection, request, identity, stored, flash)
            return await self._render_case(connection, request, identity, stored, flash)

    async def _submit_action(self, identity: Identity, case: Case, form: FilledForm) -> None:
        if form.actor not in (None, identity.actor) and not identity.has_role("dispatcher"):
            raise NotAllowed("You may not act for somebody else.", "您不能代他人操作。")
        act = ReportedAction(
            action=form.action, actor=actor_for(identity, form.actor), at=form.at, data=form.data
        )
        perform = PerformAction(
            case=case.id,
            act=act,
            properties=identity.properties,
            if_match=None if form.version is None else frozenset({form.version}),
            for_somebody=form.actor is not None,
            trace=current_trace(),
        )
        digest = request_digest(case.id, form)
        await self._service.case_actions.submit(
            SubmittedAction(identity=identity, perform=perform, key=form.key, digest=digest)
        )

    async def _read_form(self, case: Case, form: dict[str, str]) -> FilledForm:
        """What was filled in; a case that is named by its number is meant by its id."""
        catalog = self._service.catalog
        zone = catalog.get_property(case.property).timezone
        filled = read_filled_form(form, catalog.workflow_of(case), zone)
        number = str(filled.data.get("parent", "")).strip().upper()
        if _NUMBER.fullmatch(number):
            async with self._service.database.snapshot() as connection:
                parent = await find_case_by_number(connection, case.property, number)
            filled.data["parent"] = parent or number
        return filled

    async def _render_case(
        self,
        connection: AsyncConnection,
        request: Request,
        identity: Identity,
        stored: StoredCase,
        flash: FlashMessage | None = None,
    ) -> Response:
        localizer, case = self._localizer(request), stored.case
        contacts = may_see_contacts(case, identity)
        history = (await get_histories(connection, [case.id])).get(case.id, [])
        linked = await linked_cases(connection, case)
        folded = await count_folded(connection, [case.id])
        loads = (await open_jobs_by_person(connection, [case.property])).get(case.property)
        fragment = "hx-request" in request.headers
        return self._pages.render(
            request,
            "_case.html" if fragment else "case.html",
            status=flash.status if flash else 200,
            identity=identity,
            page=case_page(
                localizer, stored, history, linked, contacts=contacts, folded=folded.get(case.id, 0)
            ),
            forms=action_forms(localizer, case, identity, loads) if identity.has_role(*ACTORS) else [],
            people_to_act_for=people_to_act_for(localizer, case, identity),
            flash=flash,
            now=localizer.now.isoformat(),
        )

    async def _render_card(
        self,
        connection: AsyncConnection,
        request: Request,
        identity: Identity,
        stored: StoredCase,
        flash: FlashMessage,
    ) -> Response:
        localizer = self._localizer(request)
        histories = await get_histories(connection, [stored.case.id])
        folded = await count_folded(connection, [stored.case.id])
        return self._pages.render(
            request,
            "card.html",
            status=flash.status,
            identity=identity,
            card=job_card(localizer, identity, stored, histories, folded),
            flash=flash,
        )

    async def _load_case(
        self, connection: AsyncConnection, request: Request, identity: Identity
    ) -> StoredCase:
        """The case of the path. Raises NotFound, for one of another property too."""
        case_id = str(request.path_params["id"]).lower()
        stored = await get_case(connection, case_id) if _ID.fullmatch(case_id) else None
        if stored is None or not identity.may_see(stored.case.property):
            raise NotFound
        return stored

    def _localizer(self, request: Request) -> Localizer:
        return Localizer(
            language=read_language(request),
            texts=self._pages.texts,
            catalog=self._service.catalog,
            now=self._service.clock.now(),
        )


def _visible_properties(localizer: Localizer, identity: Identity) -> list[str]:
    return [name for name in localizer.catalog.properties if identity.may_see(name)]


def _only_property(localizer: Localizer, identity: Identity) -> str:
    """The name of the property, for readers who see only one."""
    visible = _visible_properties(localizer, identity)
    return localizer.property(visible[0]) if len(visible) == 1 else ""


def _filters(request: Request) -> BoardFilters:
    """The filters of the address. Raises InvalidInput."""
    return read_query(request, BoardFilters, beside=("lang",))
