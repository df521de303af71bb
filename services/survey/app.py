"""The survey service: follow-ups of finished cases, by staff and by the resident's own form."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from services.survey import handlers
from services.survey.api import followups
from services.survey.domain.followup import FollowUp
from services.survey.metrics import SurveyMetrics
from services.survey.models import messaging_tables, metadata
from services.survey.operations.attempts import SubmittedAttempt, record_attempts
from services.survey.operations.retention import make_bites
from services.survey.pages.form import FormPages
from shared.batcher import Batcher
from shared.http.authentication import Authenticator
from shared.http.endpoints import Endpoint
from shared.messaging.consumer import Subscription
from shared.pages.layout import PageRenderer
from shared.service import Service, ServiceContext

HERE = Path(__file__).resolve().parent


class Survey(Service):
    """Plans a follow-up of every finished case and records the attempts at it."""

    name = "survey"
    metadata = metadata
    messaging_tables = messaging_tables

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.attempts: Batcher[SubmittedAttempt, FollowUp] = Batcher(partial(record_attempts, self))
        self.housekeeping.bites += make_bites(self)
        self.gauges = SurveyMetrics(self.registry)

    def subscriptions(self) -> Sequence[Subscription[Any]]:
        """Cases."""
        return handlers.subscriptions(self)

    def endpoints(self) -> Sequence[Endpoint]:
        """Follow-ups and attempts."""
        return followups.endpoints

    def pages(self) -> Sequence[BaseRoute]:
        """The resident's form."""
        return FormPages(self, PageRenderer(Authenticator(self.keyring), HERE / "pages")).routes()

    async def release(self) -> None:
        """Submitted attempts are recorded."""
        await self.attempts.finish()

    async def update_gauges(self) -> None:
        """Read the gauges anew."""
        await self.gauges.refresh(self)
