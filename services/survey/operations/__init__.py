"""What survey does: plan follow-ups for finished cases, record attempts in sets, give out links to forms."""

from services.survey.operations.attempting import Asked, KeyUsedOtherwise, record_attempts
from services.survey.operations.links import link_to_form
from services.survey.operations.planning import plan_followups

__all__ = ["Asked", "KeyUsedOtherwise", "link_to_form", "plan_followups", "record_attempts"]
