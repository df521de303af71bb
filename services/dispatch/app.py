"""The service dispatch: its rules, its one path for changes, its timers and its stream."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.dispatch import api, handlers, queries
from services.dispatch.jobs import Watch, keep_matching
from services.dispatch.metrics import Meters
from services.dispatch.models import mechanism, metadata
from services.dispatch.operations import Acting, load_rulebook
from services.dispatch.pages import BoardPages
from services.dispatch.rulebook import Rulebook
from services.dispatch.stream import Stream
from services.dispatch.workflow import load_workflows
from shared.pages import Pages
from shared.receiver import Subscription
from shared.service import Job, Service, Surroundings
from shared.web import Endpoint, Web

HERE = Path(__file__).resolve().parent


class Dispatch(Service):
    """Every case, from the accepted demand to its end."""

    name = "dispatch"
    metadata = metadata
    mechanism = mechanism

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self.rules = Rulebook(load_workflows().values(), self.properties)
        self.meters = Meters(self.registry)
        self.acting = Acting(self)
        self.watch = Watch(self)
        self.stream = Stream(self.database, lambda: self.rules, self.clock.now, self.leaving)

    def subscriptions(self) -> Sequence[Subscription]:
        return handlers.SUBSCRIPTIONS

    def endpoints(self) -> Sequence[Endpoint]:
        return api.endpoints

    def pages(self) -> Sequence[Any]:
        """The board and the pages of cases."""
        return BoardPages(self, Pages(Web(self, self.keyring), HERE)).routes()

    def jobs(self) -> Sequence[Job]:
        return (self.watch.run, self.stream.run, self._keep_matching)

    async def _keep_matching(self) -> None:
        await keep_matching(self)

    def committed(self) -> None:
        """Something was committed: to be relayed, to be told on the stream, and perhaps due soon."""
        super().committed()
        self.stream.wake()
        self.watch.wake()

    async def prepare(self) -> None:
        async with self.database.begin() as connection:
            self.rules = await load_rulebook(connection, self.properties, self.clock.now())

    async def finish(self) -> None:
        await self.acting.finish()

    async def measure(self) -> None:
        async with self.database.read() as connection:
            counts: Sequence[Any] = await queries.open_counts(connection)
        self.meters.show_open(counts)
