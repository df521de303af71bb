"""The survey service: follow-ups of finished cases, by staff and by the resident's own form."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from services.survey.api.followups import endpoints
from services.survey.domain.followup import FollowUp
from services.survey.handlers import SUBSCRIPTIONS
from services.survey.metrics import SurveyMetrics
from services.survey.models import messaging_tables, metadata
from services.survey.operations.attempts import SubmittedAttempt, record_attempts
from services.survey.pages.form import FormPages
from shared.batcher import Batcher
from shared.http.endpoints import Endpoint, EndpointServer
from shared.messaging.consumer import Subscription
from shared.pages.layout import PageRenderer
from shared.service import Service, ServiceContext

HERE = Path(__file__).resolve().parent


class Survey(Service):
    """Asks everybody who was served how it was."""

    name = "survey"
    metadata = metadata
    messaging_tables = messaging_tables

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.attempts: Batcher[SubmittedAttempt, FollowUp] = Batcher(partial(record_attempts, self))
        self.gauges = SurveyMetrics(self.registry)

    def subscriptions(self) -> Sequence[Subscription]:
        """Cases."""
        return SUBSCRIPTIONS

    def endpoints(self) -> Sequence[Endpoint]:
        """Follow-ups and attempts."""
        return endpoints

    def pages(self) -> Sequence[Any]:
        """The resident's form."""
        return FormPages(self, PageRenderer(EndpointServer(self, self.keyring), HERE / "pages")).routes()

    async def finish(self) -> None:
        """Attempts in hand are recorded."""
        await self.attempts.finish()

    async def measure(self) -> None:
        """The gauges are read anew."""
        await self.gauges.refresh(self)
