"""The simulated span of time, lived: what is planned is posted, staff act on what comes, residents answer."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from random import Random
from typing import Any

from msgspec import Struct, structs

from guanjia.simulation.case_tracker import Act, Call, Intent, Step, TrackedCase
from guanjia.simulation.client import SimulationClient
from guanjia.simulation.demands import DEMANDS, burst_of
from guanjia.simulation.facts import FACTS, rating
from guanjia.simulation.people import at_hand
from guanjia.simulation.plan import Post, Setting, planned
from guanjia.simulation.random_streams import MINUTE, minutes, random_stream
from guanjia.simulation.staff import Staff
from guanjia.simulation.texts import COMMENTS
from guanjia.simulation.virtual_process import VirtualProcess
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState, FollowUpDone, FollowUpDue

HEARD = ("survey.cases", "kpi.followups")
"""Queues of which the staff hear what services say to each other, as a screen on the wall would tell them."""
SLOW = ("intake.cases", "survey.cases", "kpi.cases", "kpi.facts", "kpi.followups")
"""Queues whose consumers nobody waits for: they take what is there every four hours."""
SETTLE_EVERY = timedelta(hours=4)


class Lived(Struct, frozen=True):
    """How far it is, and how much has happened."""

    now: datetime
    counts: dict[str, int]


class Life:
    """One span of time at the tower. `live` it once."""

    def __init__(self, where: Setting, door: SimulationClient) -> None:
        self._where, self._door = where, door
        self._crew = Staff(where)
        self._homes = {home.resident: home for home in where.homes}
        self._agenda: list[tuple[datetime, int, Intent]] = []
        self._cases: dict[str, TrackedCase] = {}
        self._names: dict[str, Post] = {}
        self._news: dict[str, CaseState] = {}
        self._due: dict[str, FollowUpDue] = {}
        self._done: set[str] = set()
        self._pushed = 0
        self.counts: Counter[str] = Counter()

    def hear(self, events: Sequence[Event]) -> None:
        """Note what changed; of several versions of a case the highest."""
        for event in events:
            data = event.data
            if isinstance(data, CaseState):
                known = self._news.get(data.case)
                if known is None or known.version < data.version:
                    self._news[data.case] = data
            elif isinstance(data, FollowUpDone):
                self._done.add(data.followup)
            elif isinstance(data, FollowUpDue):
                self._due[data.case] = data

    async def live(self, world: VirtualProcess, report: Callable[[Lived], None]) -> None:
        """From the world's present to the end of the setting."""
        await self._door.sign_in()
        for one in planned(self._where, (*FACTS, *DEMANDS)):
            self._push(one.at, one)
        midnight, hour = self._next_midnight(world.clock.now()), world.clock.now()
        while (at := await self._next(world, midnight)) < self._where.end:
            await world.advance(at - world.clock.now())
            await self._react(at)  # whoever is about to act sees first what happened by itself
            await self._do(world, self._pop(at))
            if at >= hour:
                hour = at + SETTLE_EVERY
                await world.settle()
            if at >= midnight:
                await world.sweep()
                midnight = self._next_midnight(at)
                report(Lived(at, dict(self.counts)))
        await world.advance(self._where.end - world.clock.now())
        await world.sweep()
        report(Lived(self._where.end, dict(self.counts)))

    async def _next(self, world: VirtualProcess, midnight: datetime) -> datetime:
        """When something happens next: somebody acts, or something is due by itself."""
        await self._react(world.clock.now())
        found = [midnight, self._where.end]
        if self._agenda:
            found.append(self._agenda[0][0])
        due = world.due()
        if due is not None:
            found.append(due)
        return max(min(found), world.clock.now())

    def _next_midnight(self, at: datetime) -> datetime:
        local = at.astimezone(self._where.zone)
        return local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def _push(self, at: datetime, intent: Intent) -> None:
        self._pushed += 1
        heapq.heappush(self._agenda, (at, self._pushed, intent))

    def _plan(self, plan: Iterable[tuple[datetime, Intent]], now: datetime) -> None:
        for at, intent in plan:
            self._push(max(_whole(at, self._grid(intent)), _whole(now + MINUTE, MINUTE)), intent)

    def _grid(self, intent: Intent) -> timedelta:
        """Engineers work by the minute, the office tells what it did every five."""
        if isinstance(intent, Act) and self._cases[intent.case].state.kind == "repair":
            return MINUTE
        return 5 * MINUTE

    def _pop(self, now: datetime) -> list[Intent]:
        found = []
        while self._agenda and self._agenda[0][0] <= now:
            found.append(heapq.heappop(self._agenda)[2])
        return found

    # Doing.

    async def _do(self, world: VirtualProcess, intents: Sequence[Intent]) -> None:
        """Whatever is meant for this moment; the posts of a moment go in one batch, before the steps."""
        for is_post, group in groupby(sorted(intents, key=_kind), key=lambda i: isinstance(i, Post)):
            if is_post:
                await self._post([one for one in group if isinstance(one, Post)])
                continue
            for intent in group:
                if isinstance(intent, Act):
                    await self._act(intent)
                elif isinstance(intent, Call):
                    await self._call(intent, world.clock.now())
        if intents:
            await world.quiet()

    async def _post(self, posts: Sequence[Post]) -> None:
        opened = await self._door.post(posts)
        by_name = {one.id: one for one in posts}
        self._names |= {demand: by_name[name] for name, demand in opened.items()}
        self.counts["events"] += len(posts)
        self.counts["demands"] += len(opened)

    async def _act(self, intent: Act) -> None:
        case = self._cases[intent.case]
        if intent.stint not in (None, case.stint) or not case.state.open:
            return
        for number, step in enumerate(intent.steps):
            if not await self._step(case, step, f"{case.name}/{case.stint}/{number}/{step.action}"):
                return
            self.counts["steps"] += 1

    async def _step(self, case: TrackedCase, step: Step, key: str) -> bool:
        """Take a step; what may not be told any more as of then is told as of now."""
        if await self._door.act(case.id, step, key):
            return True
        late = structs.replace(step, at=None)
        return step.at is not None and await self._door.act(case.id, late, f"{key}/now")

    # Reacting.

    async def _react(self, now: datetime) -> None:
        """Everybody looks at what changed, case after case in the order of their names."""
        news, self._news = self._news, {}
        changed = [await self._told(state) for state in sorted(news.values(), key=_origin)]
        for case, is_new, moved in changed:
            if moved and case.state.open:
                self._plan(self._crew.react(case, now, self._parent(case)), now)
            if is_new:
                self._plan(self._crew.impatient(case, now), now)
        for case_id, due in sorted(self._due.items(), key=lambda item: self._cases[item[0]].name):
            self._plan([self._crew.ask(self._cases[case_id], due.followup, due.since, 1, now)], now)
        self._due = {}

    async def _told(self, state: CaseState) -> tuple[TrackedCase, bool, bool]:
        """The case that this is about, whether it is new, and whether it came into another state."""
        case = self._cases.get(state.case)
        if case is not None:
            return case, False, case.told(state)
        case = await self._met(state)
        self._cases[state.case] = case
        self.counts["cases"] += 1
        return case, True, True

    async def _met(self, state: CaseState) -> TrackedCase:
        """A new case: a demand of ours, the rework of a case, or what an alarm or an inspection opened."""
        raised = self._names.get(state.case)
        if raised is not None:
            home = self._homes.get(raised.data.get("requester", {}).get("id", ""))
            return TrackedCase(raised.id, state, home)
        if state.rework_of is not None:
            old = self._cases[state.rework_of]
            self.counts["reworks"] += 1
            return TrackedCase(f"{old.name}-again", state, old.home, old.equipment)
        details = (await self._door.case(state.case))["details"] or {}
        equipment = details.get("equipment")
        what = equipment or details.get("inspection")
        return TrackedCase(f"{what}-{state.raised_at.isoformat()}", state, None, equipment)

    def _parent(self, case: TrackedCase) -> str | None:
        """The job on a dead elevator that one of the many reports of it is folded into."""
        if not burst_of(case.name):
            return None
        jobs = [
            one for one in self._cases.values()
            if one.equipment is not None and one.state.subject == "elevators" and one.state.open
            and one.state.state not in ("following_up", "folded", "completed")
        ]  # fmt: skip
        return min(jobs, key=lambda one: (one.state.raised_at, one.name)).id if jobs else None

    # Asking.

    async def _call(self, call: Call, now: datetime) -> None:
        """Ask the resident how it was."""
        case = self._cases[call.case]
        random = random_stream(self._where.seed, "answer", case.name, call.number)
        correcting = call.followup in self._done
        body = self._said(case, random, correcting)
        workers = case.state.follow_up.workers if case.state.follow_up else []
        by = at_hand(self._where.prop, now, ("dispatcher", "quality"), workers)
        if by is None or not await self._door.attempt(call.followup, by, f"{case.name}/{call.number}", body):
            return
        self.counts["attempts"] += 1
        if body["outcome"] == "no_answer" and call.number < 3:
            self._plan([self._crew.ask(case, call.followup, call.since, call.number + 1, now)], now)
        elif body["outcome"] == "no_answer" and now - call.since < timedelta(days=5):
            self._plan(
                [self._crew.ask(case, call.followup, call.since, call.number + 1, now + timedelta(hours=12))],
                now,
            )
        elif body["outcome"] == "answered" and not correcting and random.random() < 0.015:
            again = Call(case=call.case, followup=call.followup, number=call.number + 10, since=call.since)
            self._plan([(now + minutes(random, 300, 1500), again)], now)

    def _said(self, case: TrackedCase, random: Random, correcting: bool) -> dict[str, Any]:
        """What the attempt came to."""
        home, luck = case.home, random.random()
        if not correcting and luck > (home.reached if home else 0.98):
            return {"outcome": "no_answer", "channel": "phone"}
        if not correcting and luck < 0.02:
            return {"outcome": "declined", "channel": "phone"}
        stars = 5 if home is None else rating(home, random, spoilt=case.spoilt)
        expected = random.choice((3, 4, 4, 5))
        answer: dict[str, Any] = {"rating": stars, "expected": expected, "perceived": stars}
        answer["surprised"] = stars == 5 and random.random() < 0.3
        if stars <= 2:
            answer["reason"] = random.choices(("service", "product", "price", "other"), (68, 14, 9, 9))[0]
        if random.random() < 0.5:
            answer["comment"] = COMMENTS[stars][home is not None and home.language == "en"]
        return {"outcome": "answered", "channel": "phone", "answer": answer}


def _whole(at: datetime, grid: timedelta) -> datetime:
    """The first moment of `grid` at or after `at`."""
    over = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) % grid
    return at if not over else at - over + grid


def _kind(intent: Intent) -> tuple[int, str, str]:
    """Posts first, then steps and calls, each in an order that does not rest on chance."""
    return (0, intent.source, intent.id) if isinstance(intent, Post) else (1, "", "")


def _origin(state: CaseState) -> tuple[datetime, str]:
    """Cases are looked at as they were raised; those of one moment in the order in which they were opened."""
    return state.raised_at, state.case
