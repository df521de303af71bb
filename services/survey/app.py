"""The survey service: follow-ups of finished cases, by staff and by the resident's own form."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from services.survey.api import endpoints
from services.survey.followup import FollowUp
from services.survey.handlers import SUBSCRIPTIONS
from services.survey.metrics import SurveyGauges
from services.survey.models import mechanism, metadata
from services.survey.operations import Asked, record_attempts
from services.survey.pages import FormPages
from shared.pages import Pages
from shared.receiver import Subscription
from shared.service import Service, Surroundings
from shared.sets import Sets
from shared.web import Endpoint, Web

HERE = Path(__file__).resolve().parent


class Survey(Service):
    """Asks everybody who was served how it was."""

    name = "survey"
    metadata = metadata
    mechanism = mechanism

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self.attempts: Sets[Asked, FollowUp] = Sets(partial(record_attempts, self))
        self.gauges = SurveyGauges(self.registry)

    def subscriptions(self) -> Sequence[Subscription]:
        """Cases."""
        return SUBSCRIPTIONS

    def endpoints(self) -> Sequence[Endpoint]:
        """Follow-ups and attempts."""
        return endpoints

    def pages(self) -> Sequence[Any]:
        """The resident's form."""
        return FormPages(self, Pages(Web(self, self.keyring), HERE)).routes()

    async def finish(self) -> None:
        """Attempts in hand are recorded."""
        await self.attempts.finish()

    async def measure(self) -> None:
        """The gauges are read anew."""
        await self.gauges.refresh(self)
