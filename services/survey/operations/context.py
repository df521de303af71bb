"""The interface of the service survey that its parts see."""

from typing import Protocol

from services.survey.domain.followup import FollowUp
from services.survey.operations.attempts import SubmittedAttempt
from shared.batcher import Batcher
from shared.host import Host


class SurveyContext(Host, Protocol):
    """The service survey: attempts are recorded in batches, beside what every service has."""

    attempts: Batcher[SubmittedAttempt, FollowUp]
