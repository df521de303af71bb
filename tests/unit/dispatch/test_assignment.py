"""Who gets the job."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.dispatch.domain.assignment import JobRequirements, choose_assignee, workers_to_exclude
from shared.properties.property import Property
from shared.properties.roster import Person, Shift
from shared.properties.values import Minute
from tests.unit.dispatch.support import person

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
JOB = JobRequirements(roles=("engineer",), subject="elevators")


def tower(*people: Person, shifts: list[Shift] | None = None) -> Property:
    zone = ZoneInfo("Asia/Shanghai")
    return Property(id="tower", name="Tower", timezone=zone, people=list(people), shifts=shifts or [])


ALL = tower(
    person("ann", "engineer", skills=["elevators"]),
    person("bob", "engineer", skills=["*"]),
    person("cat", "engineer", skills=["water_supply"]),
    person("dan", "dispatcher"),
    person("eve", "engineer", rung=2),
)


def test_whoever_carries_least_gets_it() -> None:
    assert choose_assignee(ALL, JOB, {"ann": 2, "bob": 1}, NOON) == "bob"


def test_equal_loads_are_decided_the_same_way_each_time() -> None:
    assert {choose_assignee(ALL, JOB, {}, NOON) for _ in range(10)} == {"ann"}


def test_skill_and_role_are_needed() -> None:
    assert (
        choose_assignee(
            tower(person("cat", "engineer", skills=["water_supply"]), person("dan", "dispatcher")),
            JOB,
            {},
            NOON,
        )
        is None
    )


def test_without_a_subject_any_engineer_will_do() -> None:
    assert choose_assignee(ALL, JobRequirements(roles=("engineer",)), {"ann": 1, "bob": 1}, NOON) == "cat"


def test_the_next_rung_is_asked_one_level_up_and_the_lower_ones_when_nobody_is_there() -> None:
    up = JobRequirements(roles=("engineer",), subject="elevators", level=1)
    assert choose_assignee(ALL, up, {"eve": 9}, NOON) == "eve"
    assert choose_assignee(tower(*ALL.people[:2]), up, {}, NOON) == "ann"


def test_who_is_excluded_never_gets_it_and_who_let_it_lapse_last() -> None:
    assert (
        choose_assignee(
            ALL,
            JobRequirements(roles=("engineer",), subject="elevators", excluded=("ann", "bob", "eve")),
            {},
            NOON,
        )
        is None
    )
    lapsed = JobRequirements(roles=("engineer",), subject="elevators", lapsed=("ann",))
    assert choose_assignee(ALL, lapsed, {"bob": 5}, NOON) == "bob"
    assert choose_assignee(tower(ALL.people[0]), lapsed, {}, NOON) == "ann"


def test_only_those_on_shift_are_asked() -> None:
    night = Shift(name="night", people=["ann"], from_=Minute(23 * 60), to=Minute(7 * 60))
    day = Shift(name="day", people=["bob"], from_=Minute(7 * 60), to=Minute(23 * 60))
    assert choose_assignee(tower(*ALL.people, shifts=[night, day]), JOB, {"bob": 99}, NOON) == "bob"


def test_workers_are_left_out_of_a_rework_where_another_has_the_skill() -> None:
    assert workers_to_exclude(ALL, JOB, ("ann",)) == ("ann",)
    assert workers_to_exclude(tower(ALL.people[0]), JOB, ("ann",)) == ()
