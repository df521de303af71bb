"""A property's file: two lines are enough, everything can be set, every mistake is named with its field."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages.facts import Location
from shared.properties.loader import PropertyInvalid, load_properties, read_property
from shared.properties.property import Property
from shared.properties.values import floor_number, months_later, parse_duration

LEAST = 'name = "试楼"\ntimezone = "Asia/Shanghai"\n'
GUANGLONG = Path(__file__).parents[3] / "properties"


def read_prop(folder: Path, text: str = "") -> Property:
    file = folder / "shi-lou" / "property.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(LEAST + text, encoding="utf-8")
    return read_property(file)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text + "+08:00").astimezone(UTC)


def test_a_name_and_a_time_zone_are_enough(tmp_path: Path) -> None:
    least = read_prop(tmp_path)
    assert (least.id, least.name, least.people, least.milestones) == ("shi-lou", "试楼", [], [])
    assert least.scope.decide(Location(floor=3))
    assert least.service_level("repair", "urgent").clocks["respond"].within == timedelta(minutes=10)
    assert least.target_changes == {}
    assert least.dispatch.automatic


def test_every_kind_has_a_promise_also_one_that_nobody_knows_yet(tmp_path: Path) -> None:
    level = read_prop(tmp_path).service_level("sauna", "low")
    assert level.clocks["complete"].calendar == "business"
    assert level.target("arrive") is None


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    level = read_prop(
        tmp_path,
        '[service_levels."*"."*"]\nwarn_at = 0.5\nwait_caps = { parts = "2d" }\n'
        '[service_levels.repair.low]\nclocks = { complete = "20h business", arrive = "off" }\n',
    ).service_level("repair", "low")
    complete = level.target("complete")
    assert complete is not None
    assert (complete.within, complete.calendar) == (timedelta(hours=20), "business")
    assert level.target("arrive") is None
    assert level.clocks["respond"].within == timedelta(hours=2)
    assert level.warn_at == 0.5
    assert level.wait_cap("parts") == timedelta(days=2)
    assert level.wait_cap("the moon") == timedelta(days=3)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("floors = 3", ""),
        ("[scope]\nflors = 'x'", "scope"),
        ("[scope]\nfloors = '28-6'", "scope.floors"),
        ("[service_levels.repair.soon]\nwarn_at = 0.5", "service_levels.repair.soon"),
        ("[service_levels.repair.low]\nwarn_at = 2", "service_levels.repair.low"),
        ("[service_levels.repair.low]\nclocks = { complete = '2d business' }", "service_levels.repair.low"),
        (
            "[service_levels.repair.low]\naccept_within = '5 minutes'",
            "service_levels.repair.low.accept_within",
        ),
        ("[[people]]\nid = 'a'\nname = 'A'\nroles = ['king']", "people[0].roles[0]"),
        ("[[people]]\nid = 'a b'\nname = 'A'\nroles = []", "people[0].id"),
        (2 * "[[people]]\nid = 'a'\nname = 'A'\nroles = []\n", "people[1].id"),
        ("[[shifts]]\nname = 's'\npeople = ['nobody']", "shifts[0].people"),
        ("[[shifts]]\nname = 's'\npeople = []\nfrom = '25:00'", "shifts[0].from"),
        (2 * "[[equipment]]\nid = 'e'\nsystem = 'fire'\n", "equipment[1].id"),
        ("[targets]\nfollow_up = 100", "targets.follow_up"),
        ("[calendar]\ncountry = 'XX'", "calendar"),
        ("[calendar]\nbusiness = []", "calendar"),
        ("[follow_up]\nattempts = 0", "follow_up.attempts"),
        ("id = 'other'", "id"),
        ("name = 'twice'", ""),
    ],
)
def test_a_mistake_is_refused_with_its_file_and_field(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(PropertyInvalid) as caught:
        read_prop(tmp_path, text)
    assert caught.value.path == path
    assert "property.toml" in str(caught.value)


def test_an_unknown_time_zone_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x" / "property.toml"
    file.parent.mkdir()
    file.write_text('name = "X"\ntimezone = "../etc/passwd"\n')
    with pytest.raises(PropertyInvalid) as caught:
        load_properties(tmp_path)
    assert caught.value.path == "timezone"


def test_a_folder_with_a_strange_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Schöne Aussicht").mkdir()
    (tmp_path / "Schöne Aussicht" / "property.toml").write_text(LEAST)
    with pytest.raises(PropertyInvalid):
        load_properties(tmp_path)


def test_no_folder_means_no_properties(tmp_path: Path) -> None:
    assert load_properties(tmp_path / "nothing") == {}


NIGHTS = """
[[people]]
id = "day"
name = "日"
roles = ["engineer"]
skills = ["elevator"]
[[people]]
id = "night"
name = "夜"
roles = ["engineer"]
skills = ["*"]
[[shifts]]
name = "夜班"
people = ["night"]
days = ["fri"]
from = "22:00"
to = "06:00"
"""


def test_a_night_shift_lasts_into_the_next_morning(tmp_path: Path) -> None:
    tower = read_prop(tmp_path, NIGHTS)
    on = [
        bool(tower.on_shift(at(f"2026-11-{when}")))
        for when in ("20T21:59", "20T22:00", "21T05:59", "21T06:00")
    ]
    assert on == [False, True, True, False]
    assert tower.on_shift(at("2026-11-22T05:00")) == []
    assert tower.next_shift_change(at("2026-11-20T21:59")) == at("2026-11-20T22:00")


def test_without_shifts_everybody_is_on_duty(tmp_path: Path) -> None:
    tower = read_prop(tmp_path, NIGHTS.split("[[shifts]]")[0])
    assert [person.id for person in tower.on_shift(at("2026-11-20T03:00"))] == ["day", "night"]
    assert tower.next_shift_change(at("2026-11-20T03:00")) is None


def test_skills_are_subjects_and_a_star_is_all_of_them(tmp_path: Path) -> None:
    day, night = read_prop(tmp_path, NIGHTS).people
    assert [
        day.has_skill("elevator"),
        day.has_skill("water"),
        day.has_skill(None),
        night.has_skill("water"),
    ] == [
        True,
        False,
        True,
        True,
    ]


def test_milestones_are_due_at_the_end_of_their_day(tmp_path: Path) -> None:
    tower = read_prop(
        tmp_path, "[milestones]\ntaken_over_on = 2025-11-30\niso_9000.reached_on = 2026-02-27\n"
    )
    iso, model = tower.milestones
    assert (iso.milestone, iso.deadline_on, iso.deadline_at) == (
        "iso_9000",
        date(2026, 2, 28),
        at("2026-03-01T00:00"),
    )
    assert model.deadline_on == date(2026, 11, 30)
    assert [
        iso.reached(date(2026, 2, 26)),
        iso.reached(date(2026, 2, 27)),
        model.reached(date(2027, 1, 1)),
    ] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("floor", "number"),
    [(6, 6), ("6", 6), ("6F", 6), ("6楼", 6), ("B1", -1), ("地下2层", -2), ("attic", None)],
)
def test_a_floor_is_understood_as_people_write_it(floor: int | str, number: int | None) -> None:
    assert floor_number(floor) == number


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 60))
def test_months_later_is_the_same_day_or_the_months_last(day: date, months: int) -> None:
    later = months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


@given(st.integers(0, 999), st.integers(0, 999))
def test_a_duration_adds_its_parts(hours: int, minutes: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m") == timedelta(hours=hours, minutes=minutes)


class TestGuanglong:
    """The example property that ships with the software."""

    tower = load_properties(GUANGLONG)["guanglong"]

    def test_the_commercial_floors_are_passed_on(self) -> None:
        answer = self.tower.scope.decide(Location(floor=3))
        assert not answer
        assert "光隆商业中心" in answer.reason
        assert "Guanglong Commercial Centre" in answer.reason_en
        assert self.tower.scope.decide(Location(floor="12F", unit="1203"))
        assert self.tower.scope.decide(Location(place="大堂"))
        assert not self.tower.scope.decide(Location(floor=29))

    def test_somebody_who_can_do_anything_is_there_at_any_hour_of_the_week(self) -> None:
        monday = at("2026-11-23T00:00")
        for hour in range(7 * 24):
            present = self.tower.on_shift(monday + timedelta(hours=hour))
            assert any("engineer" in person.roles and person.has_skill("anything") for person in present), (
                hour
            )
            assert any("dispatcher" in person.roles for person in present), hour

    def test_it_has_eight_elevators_and_its_critical_systems(self) -> None:
        systems = [equipment.system for equipment in self.tower.equipment if equipment.critical]
        assert systems.count("elevator") == 8
        assert {"fire", "water"} <= set(systems)
