"""What dispatch does: one path for everything that changes cases, and what comes in from facts."""

from services.dispatch.operations.acting import Acting, Answered, Asked
from services.dispatch.operations.apply import Outcome, apply
from services.dispatch.operations.definitions import load_rulebook
from services.dispatch.operations.demands import match_withdrawals, take_demands
from services.dispatch.operations.facts import take_facts

__all__ = [
    "Acting",
    "Answered",
    "Asked",
    "Outcome",
    "apply",
    "load_rulebook",
    "match_withdrawals",
    "take_demands",
    "take_facts",
]
