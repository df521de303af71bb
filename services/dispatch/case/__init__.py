"""A case: what is known of it, and how it takes a step. Pure; it is told the time."""

from services.dispatch.case.advance import advance, allowed_actions, annotate
from services.dispatch.case.errors import ActionNotAllowed, NotYours
from services.dispatch.case.opening import NewCase, open_case
from services.dispatch.case.record import (
    SYSTEM,
    Act,
    Actor,
    Case,
    Finding,
    FollowUp,
    HistoryEntry,
    Terms,
    Transition,
)
from services.dispatch.case.timers import Timer, timers_of

__all__ = [
    "SYSTEM",
    "Act",
    "ActionNotAllowed",
    "Actor",
    "Case",
    "Finding",
    "FollowUp",
    "HistoryEntry",
    "NewCase",
    "NotYours",
    "Terms",
    "Timer",
    "Transition",
    "advance",
    "allowed_actions",
    "annotate",
    "open_case",
    "timers_of",
]
