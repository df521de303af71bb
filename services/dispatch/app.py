"""The service dispatch: its rules, its one path for changes, its timers and its stream."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from services.dispatch import api, handlers
from services.dispatch.domain.workflow.loader import load_workflows
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.jobs import TimerWatch, match_withdrawals_forever
from services.dispatch.metrics import DispatchMetrics
from services.dispatch.models import messaging_tables, metadata
from services.dispatch.operations.case_actions import CaseActions
from services.dispatch.operations.case_storage import CaseStorage, WrittenBatch
from services.dispatch.operations.change_stream import ChangeStream
from services.dispatch.operations.recent_cases import RecentCases
from services.dispatch.operations.retention import dispatch_bites
from services.dispatch.operations.step_events import StepEvents, renumber_restored_steps
from services.dispatch.operations.workflow_versions import load_catalog
from services.dispatch.pages.routes import BoardPages
from services.dispatch.queries.cases import count_open_cases
from shared.http.authentication import Authenticator
from shared.http.endpoints import Endpoint
from shared.messaging.consumer import Subscription
from shared.pages.layout import PageRenderer
from shared.service import Job, Service, ServiceContext

HERE = Path(__file__).resolve().parent


class Dispatch(Service):
    """Every case, from the accepted demand to its end."""

    name = "dispatch"
    metadata = metadata
    messaging_tables = messaging_tables

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.catalog = WorkflowCatalog(
            load_workflows(self.settings.workflow_folders).values(), self.properties
        )
        self.metrics = DispatchMetrics(self.registry)
        self.case_actions = CaseActions(self)
        self.timer_watch = TimerWatch(self)
        self.change_stream = ChangeStream(self.database, lambda: self.catalog, self.clock.now, self.stopping)
        self.recent_cases = RecentCases()
        self.case_storage = CaseStorage(self.database, self.outbox, self.follow_commit)
        self.relay.sources.insert(0, StepEvents(lambda: self.catalog))
        self.housekeeping.bites += dispatch_bites(self.database, self.clock)

    def follow_commit(self, written: WrittenBatch) -> None:
        """Cases were written: they are remembered, counted, told to whoever watches, and checked in time."""
        for recent in written.cases:
            self.recent_cases.remember(recent)
        self.metrics.count_decisions(written.batch)
        self.change_stream.announce(written.changes)
        if written.due_at is not None:
            self.timer_watch.note_due(written.due_at)

    def subscriptions(self) -> Sequence[Subscription[Any]]:
        return handlers.subscriptions(self)

    def endpoints(self) -> Sequence[Endpoint]:
        return api.endpoints

    def pages(self) -> Sequence[BaseRoute]:
        """The board and the pages of cases."""
        return BoardPages(self, PageRenderer(Authenticator(self.keyring), HERE / "pages")).routes()

    def jobs(self) -> Sequence[Job]:
        return (
            self.timer_watch.run,
            self.change_stream.run,
            partial(match_withdrawals_forever, self),
        )

    async def prepare(self) -> None:
        async with self.database.transaction() as connection:
            self.catalog = await load_catalog(
                connection, self.properties, self.clock.now(), self.settings.workflow_folders
            )
            await renumber_restored_steps(connection)

    async def release(self) -> None:
        await self.case_actions.finish()

    async def update_gauges(self) -> None:
        async with self.database.snapshot() as connection:
            counts = await count_open_cases(connection)
        self.metrics.set_open_cases(counts)
