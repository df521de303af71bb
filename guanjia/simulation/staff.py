"""How the staff go about a case: for each state that it comes into, who means to do what, and when."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from guanjia.simulation.case_tracker import Act, Call, Intent, Step, TrackedCase
from guanjia.simulation.demands import burst_of
from guanjia.simulation.people import at_hand, temper
from guanjia.simulation.plan import Setting, post
from guanjia.simulation.random_streams import civil, minutes, random_stream
from guanjia.simulation.texts import REPAIRED

HOUR, DAY = 60, 24 * 60
TAKES = {
    "move_in": (3 * HOUR, 30 * HOUR), "decoration": (3 * DAY, 25 * DAY), "key_custody": (DAY, 12 * DAY),
    "community": (2 * DAY, 9 * DAY), "business": (4 * HOUR, 3 * DAY), "suggestion": (2 * HOUR, 4 * DAY),
}  # fmt: skip
"""How many minutes what is asked for takes, least and most, where it is not done within hours."""
WAITS = {"parts": (6 * HOUR, 3 * DAY), "resident": (1.5 * HOUR, 18 * HOUR)}
OFFICE = ("dispatcher",)
JUDGES = ("quality", "dispatcher")
Plan = Iterator[tuple[datetime, Intent]]


class Staff:
    """The staff of the tower."""

    def __init__(self, where: Setting) -> None:
        self._where = where

    def react(self, case: TrackedCase, now: datetime, parent: str | None = None) -> Plan:
        """What follows from the state that `case` came into; `parent`: the job that it may be folded into."""
        state = case.state
        random = random_stream(self._where.seed, case.name, case.stint)
        if state.kind == "repair":
            yield from self._repair(case, now, random, parent)
        elif state.kind == "complaint":
            yield from self._complaint(case, now, random)
        elif state.kind == "visitor":
            yield from self._visitor(case, now, random)
        else:
            yield from self._request(case, now, random)

    # Small words.

    def _office(self, case: TrackedCase, at: datetime, *without: str) -> str:
        """Somebody of the office who did not work on the case."""
        worked = case.state.follow_up.workers if case.state.follow_up else []
        found = at_hand(self._where.prop, at, JUDGES, {*without, *worked})
        return found or self._where.prop.people[0].id

    def _act(
        self, case: TrackedCase, at: datetime, action: str, by: str | None = None, **data: Any
    ) -> tuple[datetime, Intent]:
        who = by or at_hand(self._where.prop, at, OFFICE) or self._where.prop.people[0].id
        return at, Act(case=case.id, stint=case.stint, steps=[Step(action=action, by=who, data=data)])

    def _civil(self, at: datetime, random: Random) -> datetime:
        return civil(at, self._where.zone, random)

    # Repairs.

    def _repair(self, case: TrackedCase, now: datetime, random: Random, parent: str | None) -> Plan:
        state, who = case.state, case.state.assignee
        if state.state == "reported" and case.name.startswith("passing-"):
            yield self._act(case, now + minutes(random, 2, 10), "pass_on", to="商业中心管理处",
                            reason="属商场管理范围")  # fmt: skip
        if state.state == "dispatched" and who is not None:
            yield from self._offered(case, now, random, who)
        elif state.state == "accepted" and who is not None:
            yield from self._taken(case, now, random, who)
        elif state.state == "travelling":
            yield self._act(case, now + self._work(random, who, 2, 8), "arrive", who)
        elif state.state == "on_site":
            yield from self._on_site(case, now, random, who)
        elif state.state == "waiting":
            later = now + minutes(random, *WAITS[case.waits_for or "resident"])
            yield self._act(case, self._civil(later, random), "resume", who)
        elif state.state == "completed":
            yield from self._completed(case, now, random)
        if parent is not None and state.state in ("reported", "dispatched", "accepted", "travelling"):
            later = now + minutes(random, 2, 6)
            yield self._act(case, later, "attach", parent=parent)

    def _work(self, random: Random, who: str | None, least: float, most: float) -> timedelta:
        pace = temper(self._where.seed, self._where.prop, who or "").pace
        return minutes(random, least * pace, most * pace)

    def _offered(self, case: TrackedCase, now: datetime, random: Random, who: str) -> Plan:
        """Most accept within minutes; some forget (the lease takes it from them), a few decline."""
        how = temper(self._where.seed, self._where.prop, who)
        luck = random.random()
        if luck < how.forgets:
            return
        urgent = case.state.priority == "urgent"
        delay = minutes(random, 0.5, 1.6 if urgent else 5 * how.pace)
        if luck < how.forgets + 0.015:
            yield self._act(case, now + delay, "decline", who, reason="正在处理另一件报修")
        else:
            yield self._act(case, now + delay, "accept", who)

    def _taken(self, case: TrackedCase, now: datetime, random: Random, who: str) -> Plan:
        how = temper(self._where.seed, self._where.prop, who)
        depart = now + self._work(random, who, 1, 4)
        if random.random() >= how.offline:
            yield self._act(case, depart, "depart", who)
            return
        arrive = depart + self._work(random, who, 2, 6)
        complete = arrive + self._work(random, who, 15, 70)
        steps = [
            Step(action="depart", by=who, at=depart),
            Step(action="arrive", by=who, at=arrive),
            Step(action="complete", by=who, at=complete, data={"result": "已修好，当时无信号，事后补报"}),
        ]
        yield complete + minutes(random, 5, 150), Act(case=case.id, stint=case.stint, steps=steps)

    def _on_site(self, case: TrackedCase, now: datetime, random: Random, who: str | None) -> Plan:
        if case.equipment is not None:
            at = now + minutes(random, 1, 3)
            yield at, self._equipment(case, at, "under_repair")
        urgent = case.state.priority == "urgent"
        if case.waits_for is None and not urgent and random.random() < 0.16:
            case.waits_for = "parts" if case.equipment is not None else random.choice(("parts", "resident"))
            yield self._act(case, now + minutes(random, 8, 20), "wait", who, reason=case.waits_for)
        else:
            yield self._act(case, now + self._work(random, who, 12, 50 if urgent else 75), "complete", who,
                            result=random.choice(REPAIRED))  # fmt: skip

    def _completed(self, case: TrackedCase, now: datetime, random: Random) -> Plan:
        if case.equipment is not None:
            at = now + minutes(random, 1, 4)
            yield at, self._equipment(case, at, "intact")
        how = temper(self._where.seed, self._where.prop, case.state.assignee or "")
        passed = random.random() >= how.careless
        at = now + minutes(random, 5, 45)
        case.failed = case.failed or not passed
        yield self._act(case, at, "inspect", self._office(case, at), passed=passed)

    def _equipment(self, case: TrackedCase, at: datetime, state: str) -> Intent:
        name = f"{case.name}-{case.stint}-{state}"
        return post(at, "bms", name, "equipment.state", equipment=case.equipment, state=state)

    # Complaints.

    def _complaint(self, case: TrackedCase, now: datetime, random: Random) -> Plan:
        state = case.state.state
        if state == "received":
            yield self._act(case, now + minutes(random, 2, 32), "register")
        elif state == "registered":
            yield self._judge(case, now, random)
        elif state == "valid":
            yield self._act(case, now + minutes(random, 5, 60), "assign", engineer=self._office(case, now))
        elif state == "explaining":
            yield from self._explain(case, now, random)
        elif state == "assigned":
            yield self._act(case, now + minutes(random, 5, 90), "handle")
        elif state == "handling":
            at = self._civil(now + minutes(random, 120, 900), random)
            yield self._act(case, at, "propose", resolution="已当面致歉并整改")
        elif state == "proposed":
            yield self._answer_to_proposal(case, now, random)

    def _judge(self, case: TrackedCase, now: datetime, random: Random) -> tuple[datetime, Intent]:
        at = self._civil(now + minutes(random, 30, 360), random)
        judge = self._office(case, at, *case.judges)
        case.judges.append(judge)
        if random.random() < (0.45 if case.refused else 0.2):
            return self._act(case, at, "judge", judge, valid=True)
        return self._act(case, at, "judge", judge, valid=False, verdict="not_valid", reason="经核实不属实")

    def _explain(self, case: TrackedCase, now: datetime, random: Random) -> Plan:
        """Somebody else signs too; then it is explained to the resident, who agrees or appeals."""
        signed = now + minutes(random, 20, 180)
        steps = [Step(action="countersign", by=self._office(case, signed, *case.judges))]
        yield signed, Act(case=case.id, stint=case.stint, steps=steps)
        at = self._civil(signed + minutes(random, 30, 400), random)
        appeals = len(case.judges) < 3 and random.random() < 0.2
        case.refused = case.refused or appeals
        yield (
            self._act(case, at, "appeal", reason="未听取本人说明")
            if appeals
            else self._act(case, at, "agree")
        )

    def _answer_to_proposal(
        self, case: TrackedCase, now: datetime, random: Random
    ) -> tuple[datetime, Intent]:
        at = self._civil(now + minutes(random, 20, 300), random)
        if case.refused or random.random() < 0.85:
            return self._act(case, at, "agree")
        case.refused = True
        return self._act(case, at, "refuse", reason="处理结果不够")

    # Visitors, and everything else.

    def _visitor(self, case: TrackedCase, now: datetime, random: Random) -> Plan:
        state = case.state.state
        owner = case.home.resident if case.home else "owner"
        if state == "requested" and random.random() < 0.07:
            yield self._act(case, now + minutes(random, 1, 12), "refuse", owner=owner)
        elif state == "requested":
            yield self._act(case, now + minutes(random, 1, 12), "consent", owner=owner, channel="app")
        elif state == "consented":
            yield self._act(case, now + minutes(random, 2, 45), "admit")
        elif state == "admitted":
            yield self._act(case, now + minutes(random, 25, 240), "leave")

    def _request(self, case: TrackedCase, now: datetime, random: Random) -> Plan:
        state, who = case.state.state, case.state.assignee
        if state == "assigned":
            yield self._act(case, now + self._work(random, who, 2, 25), "start", who)
        elif state == "doing" and random.random() < 0.04:
            yield self._act(case, now + minutes(random, 10, 60), "explain", who, explanation="不符合管理规约")
        elif state == "doing":
            least, most = TAKES.get(case.state.kind, (15, 200))
            at = self._civil(now + self._work(random, who, least, most), random)
            yield self._act(case, at, "finish", who, result="已办妥")
        elif state == "explaining":
            at = self._civil(now + minutes(random, 10, 200), random)
            case.refused = random.random() < 0.2 and not case.refused
            action = "refuse" if case.refused else "agree"
            yield self._act(case, at, action, answer="表示理解" if action == "agree" else "不能接受")

    # What comes after.

    def impatient(self, case: TrackedCase, now: datetime) -> Plan:
        """Some residents press before long, whoever has the job."""
        random = random_stream(self._where.seed, "urge", case.name)
        chance = {"easy": 0.01, "plain": 0.03, "demanding": 0.25}[case.home.mood] if case.home else 0
        if case.state.kind == "repair" and random.random() < chance and not burst_of(case.name):
            at = now + minutes(random, 15, 60)
            steps = [Step(action="urge", by=at_hand(self._where.prop, at, OFFICE) or "")]
            yield at, Act(case=case.id, stint=None, steps=steps)

    def ask(
        self, case: TrackedCase, followup: str, since: datetime, number: int, after: datetime
    ) -> tuple[datetime, Intent]:
        """When somebody calls the resident: in civil hours, mostly in time; some late, a few very."""
        random = random_stream(self._where.seed, "call", case.name, number)
        luck, wait = random.random(), minutes(random, 40, 500)
        if number > 1:
            wait = minutes(random, 150, 700)
        elif luck < 0.01:
            wait = minutes(random, 4 * DAY, 12 * DAY)
        elif luck < 0.02:
            wait = minutes(random, 1900, 2600)
        call = Call(case=case.id, followup=followup, number=number, since=since)
        return self._civil(after + wait, random), call
