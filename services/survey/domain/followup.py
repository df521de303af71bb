"""A follow-up as a pure machine: due until answered, declined, or given up after attempts enough.
An answer may be corrected later; nobody follows up their own work."""

import builtins
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from shared.errors import Conflict, InvalidInput, NotAllowed
from shared.messages.facts import Kind, Line, Rating, Reason, Text
from shared.properties.property import FollowUpRules

State = Literal["due", "done"]
AttemptOutcome = Literal["no_answer", "declined", "answered"]
Outcome = Literal["answered", "declined", "unreachable"]
DISSATISFIED = 2
MAX_ATTEMPTS = 100


class ResidentAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the resident said; the gap between perceived and expected is what satisfaction is."""

    rating: Rating
    expected: Rating | None = None
    perceived: Rating | None = None
    surprised: bool | None = None
    reason: Reason | None = None
    comment: Text | None = None

    @builtins.property
    def gap(self) -> int | None:
        """Perceived less expected; None unless the resident gave both."""
        return None if self.expected is None or self.perceived is None else self.perceived - self.expected


class AttemptReport(Struct, frozen=True, kw_only=True):
    """One attempt to reach the resident, as it is reported. `at` None: now."""

    outcome: AttemptOutcome
    channel: str
    at: datetime | None = None
    answer: ResidentAnswer | None = None


class Actor(Struct, frozen=True, kw_only=True):
    """Who made the attempt, and whose key reported it."""

    person: str
    recorded_by: str


class Attempt(Struct, frozen=True, kw_only=True):
    """A recorded attempt, and the follow-up's state after it; `version` counts outcomes and corrections."""

    seq: int
    outcome: AttemptOutcome
    channel: str
    at: datetime
    recorded_at: datetime
    actor: str
    recorded_by: str
    answer: ResidentAnswer | None
    state: State
    result: Outcome | None
    version: int


class FollowUp(Struct, frozen=True, kw_only=True):
    """A follow-up of a finished case with the attempts so far. It exists from `since`."""

    id: str
    case: str
    number: str
    property: str
    kind: Kind
    line: Line
    due_at: datetime
    since: datetime
    workers: Sequence[str]
    language: str | None
    form_expires_at: datetime
    attempts: tuple[Attempt, ...] = ()

    @builtins.property
    def state(self) -> State:
        return self.attempts[-1].state if self.attempts else "due"

    @builtins.property
    def outcome(self) -> Outcome | None:
        """How it ended; an answer that came later counts more than having been declined or out of reach."""
        return self.attempts[-1].result if self.attempts else None

    @builtins.property
    def version(self) -> int:
        """0 while due, 1 once done, one more with each correction."""
        return self.attempts[-1].version if self.attempts else 0

    @builtins.property
    def done_at(self) -> datetime | None:
        """When it was first done; corrections do not move it."""
        return next((attempt.at for attempt in self.attempts if attempt.state == "done"), None)

    @builtins.property
    def latest_answer(self) -> Attempt | None:
        """The latest attempt with an answer."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.answer is not None), None)

    def at_attempt(self, seq: int) -> "FollowUp":
        """As it was after the attempt `seq`."""
        return structs.replace(self, attempts=self.attempts[:seq])


class DoneByWorker(NotAllowed):
    """Whoever did the work does not follow it up."""

    code = "own-work"
    title, title_zh = "Nobody follows up their own work", "不得回访本人经手的工单"


class AlreadyDone(Conflict):
    """The follow-up is done; only its answer can still be corrected."""

    code = "follow-up-done"
    title, title_zh = "This follow-up is done; only its answer can be corrected", "回访已完成，仅可更正答复"


class TooManyAttempts(Conflict):
    """So many entries are no follow-up any more."""

    code = "too-many-attempts"
    title, title_zh = "This follow-up has too many entries", "该回访的记录过多"


def record_attempt(
    followup: FollowUp,
    report: AttemptReport,
    actor: Actor,
    rules: FollowUpRules,
    zone: ZoneInfo,
    now: datetime,
) -> FollowUp:
    """The follow-up with one more attempt, by the rules of its property.

    Raises DoneByWorker, AlreadyDone, TooManyAttempts, and InvalidInput for an answer or a time that can't be.
    """
    if not {actor.person, actor.recorded_by}.isdisjoint(followup.workers):
        raise DoneByWorker
    check_answer(report)
    if followup.state == "done" and report.outcome != "answered":
        raise AlreadyDone
    if len(followup.attempts) >= MAX_ATTEMPTS:
        raise TooManyAttempts
    at = check_attempt_time(followup, report.at, now)
    result = decide_outcome(followup, report, at, rules, zone)
    return structs.replace(
        followup, attempts=(*followup.attempts, make_attempt(followup, report, actor, at, now, result))
    )


def check_answer(report: AttemptReport) -> None:
    """Raises InvalidInput for an answer missing or out of place, or a reason beside a good rating."""
    if (report.answer is None) == (report.outcome == "answered"):
        raise InvalidInput.of(
            "answer",
            "An answer goes with the outcome `answered`, and only with it",
            "仅当结果为 answered 时须填写答复",
        )
    if report.answer and report.answer.reason and report.answer.rating > DISSATISFIED:
        raise InvalidInput.of(
            "answer.reason", "A reason goes with ratings 1 and 2", "仅评分为 1 或 2 时填写原因"
        )


def check_attempt_time(followup: FollowUp, at: datetime | None, now: datetime) -> datetime:
    """When it happened: after what came before, not in the future; clocks may run apart a little."""
    earliest = followup.attempts[-1].at if followup.attempts else followup.since
    latest = max(now, earliest)
    if at is None:
        return latest
    if at < earliest:
        raise InvalidInput.of("at", "This is before the entry that it follows", "早于上一条记录的时间")
    if at > latest:
        raise InvalidInput.of("at", "This is in the future", "时间在未来")
    return at.astimezone(UTC)


def decide_outcome(
    followup: FollowUp, report: AttemptReport, at: datetime, rules: FollowUpRules, zone: ZoneInfo
) -> Outcome | None:
    """The outcome of the follow-up by this attempt, None where it stays due."""
    if report.outcome != "no_answer":
        return report.outcome
    times = [attempt.at for attempt in followup.attempts if attempt.outcome == "no_answer"] + [at]
    days = {time.astimezone(zone).date() for time in times}
    return "unreachable" if len(times) >= rules.attempts and len(days) >= rules.days else None


def make_attempt(
    followup: FollowUp,
    report: AttemptReport,
    actor: Actor,
    at: datetime,
    now: datetime,
    result: Outcome | None,
) -> Attempt:
    """The attempt to be recorded."""
    return Attempt(
        seq=len(followup.attempts) + 1,
        outcome=report.outcome,
        channel=report.channel,
        at=at,
        recorded_at=now,
        actor=actor.person,
        recorded_by=actor.recorded_by,
        answer=report.answer,
        state="done" if result else "due",
        result=result,
        version=followup.version + (1 if result else 0),
    )
