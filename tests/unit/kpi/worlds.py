"""Random worlds: what may happen at a property, ties, corrections, late news and edges of windows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from shared.messages.cloudevents import Event
from shared.messages.events import (
    Answer,
    CaseChanged,
    CaseFacts,
    DeadlineStatus,
    Entry,
    FollowUpDone,
    FollowUpDue,
    Verdict,
    WorkflowRef,
)
from shared.messages.facts import (
    EquipmentRegistered,
    EquipmentState,
    FeeBilled,
    FeePaid,
    FeeReversed,
    IncidentRecorded,
    InspectionRecorded,
    OccupancyReported,
    PlantingCounted,
    QuestionnaireAnswered,
)
from tests.unit.kpi.oracle import History, World

LINES = ("customer_service", "security", "maintenance", "cleaning", "greening")
SOURCES = ("/Z", "/a", "/é", "/中", "/\U0001f600", "/ﬀ")
HOUR = timedelta(hours=1)
ENDS = {"respond": "accept", "arrive": "arrive", "complete": "complete"}


class WorldMaker:
    """Makes one world from a seed; `size` bounds how many of everything there are."""

    def __init__(self, seed: int, size: int, property_id: str = "tower", zone: str = "Asia/Shanghai") -> None:
        self.random = Random(seed)
        self.size = size
        self.property = property_id
        self.zone = ZoneInfo(zone)
        self.numbers = self._names()

    def make(self) -> World:
        facts = [fact for _ in range(self._few()) for fact in self._facts()]
        histories = [self._history() for _ in range(self._few())]
        return World(self.zone, facts, histories, [e for _ in range(self._few()) for e in self._follow_up()])

    def moment(self) -> datetime:
        """Somewhere in two years, often on or beside the edge of a day, month or year."""
        month = self.random.choice((10, 11, 11, 11, 11, 12, 1, 3))
        year = 2025 if month == 12 and self.random.random() < 0.5 else 2026
        day, hour = self.random.choice((1, 1, 2, 22, 23, 24)), self.random.choice((0, 0, 1, 12, 23))
        local = datetime(year, month, day, hour, tzinfo=self.zone)
        edge = self.random.choice((0, 0, 0, -1, 1, 1_800_000_000))
        return (local + timedelta(microseconds=edge)).astimezone(UTC)

    def _names(self) -> Iterator[tuple[str, str]]:
        number = 0
        while True:
            number += 1
            mixed = self.random.choice(("", "é", "Z", "中", "9"))
            yield self.random.choice(SOURCES), f"{mixed}{self.random.randrange(20)}-{number}"

    def _few(self) -> int:
        return self.random.randint(0, self.size)

    def _one(self, word: str) -> str:
        return f"{word}{self.random.randrange(max(1, self.size // 3))}"

    def _event(self, data: Any, time: datetime | None = None) -> Event:
        source, id_ = next(self.numbers)
        return Event.of(data, source=source, id=id_, time=time or self.moment())

    def _facts(self) -> list[Event]:
        choice = self.random.randrange(9)
        if choice == 0:
            return [
                self._event(
                    OccupancyReported(property=self.property, occupied_units=self.random.randrange(300))
                )
            ]
        if choice == 1:
            return self._fees()
        if choice == 2:
            return [self._event(self._incident())]
        if choice == 3:
            return self._equipment()
        if choice == 4:
            return [self._event(self._planting())]
        if choice == 5:
            return [self._event(self._inspection())]
        return [self._event(self._questionnaire())]

    def _amount(self) -> str:
        return self.random.choice(("100", "0.0001", "33.3333", "66.6667", "1000.50", "9999999999.9999", "0"))

    def _fees(self) -> list[Event]:
        bill = self._one("b")
        made: list[Event] = []
        if self.random.random() < 0.8:
            data = FeeBilled(property=self.property, bill=bill, amount=self._amount(), due_at=self.moment())
            made.append(self._event(data))
        for _ in range(self.random.randrange(3)):
            payment = self._one("p")
            made.append(
                self._event(
                    FeePaid(property=self.property, payment=payment, bill=bill, amount=self._amount())
                )
            )
        if self.random.random() < 0.3:
            made.append(self._event(FeeReversed(property=self.property, payment=self._one("p"))))
        return made

    def _incident(self) -> IncidentRecorded:
        return IncidentRecorded(
            property=self.property,
            incident=self._one("i"),
            severity=self.random.choice(("major", "general")),
            responsible=self.random.random() < 0.7,
            occurred_at=self.moment(),
        )

    def _equipment(self) -> list[Event]:
        name, made = self._one("e"), []
        if self.random.random() < 0.6:
            made.append(
                self._event(EquipmentRegistered(property=self.property, equipment=name, system="elevator"))
            )
        for _ in range(self.random.randrange(4)):
            state: Any = self.random.choice(
                ("intact", "intact", "faulty", "faulty", "under_repair", "retired")
            )
            made.append(self._event(EquipmentState(property=self.property, equipment=name, state=state)))
        return made

    def _planting(self) -> PlantingCounted:
        planted = self.random.randrange(50)
        living = self.random.randint(0, planted)
        return PlantingCounted(property=self.property, area=self._one("a"), planted=planted, living=living)

    def _inspection(self) -> InspectionRecorded:
        checked = self.random.randrange(20)
        line: Any = self.random.choice(("cleaning", "greening", "security"))
        passed = self.random.choice((checked, self.random.randint(0, checked)))
        return InspectionRecorded(
            property=self.property, inspection=self._one("k"), line=line, checked=checked, passed=passed
        )

    def _questionnaire(self) -> QuestionnaireAnswered:
        lines: Any = self.random.sample(LINES, self.random.randint(0, 5))
        ratings = {line: self.random.randint(1, 5) for line in lines}
        return QuestionnaireAnswered(
            property=self.property, questionnaire=self._one("q"), respondent=self._one("r"), ratings=ratings
        )

    def _follow_up(self) -> list[Event]:
        since = self.moment()
        known = self._owed(since)
        done_at = since + self.random.choice((0, 1, 24, 25, 800)) * HOUR
        answers = [
            self._done(known, done_at, version) for version in range(1, self.random.choice((1, 2, 2, 3, 4)))
        ]
        due = self._event(FollowUpDue(**known), since)
        return [due, *answers] if not answers or self.random.random() < 0.8 else answers

    def _owed(self, since: datetime) -> dict[str, Any]:
        name, kind = f"f{next(self.numbers)[1]}", self.random.choice(("repair", "complaint", "help"))
        line = "maintenance" if kind == "repair" else self.random.choice(LINES)
        due_at = since + self.random.choice((0, 1, 24, 24, 700)) * HOUR
        known = {
            "followup": name,
            "case": f"case-{name}",
            "property": self.property,
            "kind": kind,
            "line": line,
        }
        return known | {"since": since, "due_at": due_at}

    def _done(self, known: dict[str, Any], done_at: datetime, version: int) -> Event:
        outcome: Any = (
            self.random.choice(("answered", "declined", "unreachable")) if version == 1 else "answered"
        )
        told = done_at + (version - 1) * self.random.choice((0, 1, 100)) * HOUR
        answer = Answer(rating=self.random.randint(1, 5), reason=self.random.choice((None, "service")))
        data = FollowUpDone(**known, outcome=outcome, done_at=done_at, answered_at=told, version=version,
                            by="li", answer=answer if outcome == "answered" else None)  # fmt: skip
        return self._event(data, told)

    def _history(self) -> History:
        case, raised = f"c{next(self.numbers)[1]}", self.moment()
        rework_of = "c-earlier" if self.random.random() < 0.3 else None
        if self.random.random() < 0.3:
            return History(case, "complaint", raised, steps=self._verdicts(raised), rework_of=rework_of)
        targets = {"respond": HOUR, "arrive": 2 * HOUR, "complete": 24 * HOUR}
        return History(case, "repair", raised, targets, self._steps(raised), rework_of)

    def _later(self, moment: datetime) -> datetime:
        return moment + self.random.choice((0.25, 0.5, 1, 2, 7, 22, 24, 500)) * HOUR

    def _verdicts(self, moment: datetime) -> list[tuple[datetime, str, Any]]:
        steps: list[tuple[datetime, str, Any]] = []
        for _ in range(self.random.randrange(4)):
            moment = self._later(moment)
            valid = self.random.random() < 0.6
            steps.append((moment, "judge", valid))
            if not valid and self.random.random() < 0.8:
                moment = self._later(moment)
                steps.append((moment, "countersign", None))
        return steps

    def _steps(self, moment: datetime) -> list[tuple[datetime, str, Any]]:
        """A repair's way, broken off anywhere."""
        way = [
            "accept",
            "arrive",
            *(["wait", "resume"] * self.random.choice((0, 0, 1, 2))),
            "complete",
            "inspect",
        ]
        way = way[: self.random.randint(0, len(way))]
        if "complete" not in way and self.random.random() < 0.4:
            way.append(self.random.choice(("cancel", "attach")))
        steps: list[tuple[datetime, str, Any]] = []
        for step in way:
            moment = self._later(moment)
            steps.append((moment, step, self.random.random() < 0.8 if step == "inspect" else None))
        return steps


def snapshot(history: History, property_id: str = "tower", steps: int | None = None) -> CaseChanged:
    """The case after its first `steps` steps (all of them by default), as dispatch tells it."""
    done = history.steps[:steps]
    history = replace(history, steps=done)
    at, action, _ = done[-1] if done else (history.raised_at, "open", None)
    version, kind = len(done) + 1, history.kind
    return CaseChanged(
        case=history.case, number=f"R-{history.case}", property=property_id, kind=kind,
        workflow=WorkflowRef(name=kind, version=1), state="any", open=True, priority="normal", assignee=None,
        raised_at=history.raised_at, line=None, subject=None, perspective=None, rework_of=history.rework_of,
        parent=None,
        language=None, version=version, deadlines=[_deadline(history, clock) for clock in history.targets],
        entry=Entry(seq=version, action=action, from_="any", to="any", at=at, recorded_at=at, actor="li"),
        facts=_facts(history),
    )  # fmt: skip


def _facts(history: History) -> CaseFacts:
    first = {step: (moment, value) for moment, step, value in reversed(history.steps)}
    ended = first.get("cancel") or first.get("attach")
    verdicts: list[Verdict] = []
    for moment, step, value in history.steps:
        if step == "judge":
            verdicts.append(Verdict(valid=value, at=moment))
        elif step == "countersign":
            verdicts[-1] = Verdict(valid=False, at=verdicts[-1].at, effective_at=moment)
    return CaseFacts(
        completed_at=first["complete"][0] if "complete" in first else None,
        inspected_at=first["inspect"][0] if "inspect" in first else None,
        inspection_passed=first["inspect"][1] if "inspect" in first else None,
        verdicts=verdicts,
        ended_at=ended[0] if ended else None,
    )


def _deadline(history: History, clock: str) -> DeadlineStatus:
    due, met, waiting = history.raised_at + history.targets[clock], None, None
    for moment, step, _ in history.steps:
        if step == ENDS[clock] and met is None:
            met = moment
        if step == "wait" and clock == "complete" and moment <= due:
            waiting = moment
        if step in ("resume", "cancel", "attach") and waiting is not None:
            due, waiting = due + (moment - waiting), None
    return DeadlineStatus(clock=clock, due_at=due, met_at=met, paused_since=waiting)
