"""The reference of the property file says what every key means, with examples that the loader takes."""

from pathlib import Path

import pytest
from msgspec import Struct

from guanjia.property_keys import MeaningMissing, list_keys
from guanjia.property_reference import Section, check_examples, list_sections, write_example
from shared.properties.loader import PropertyInvalid, read_property
from shared.properties.property import Property


class Lift(Struct):
    """A table whose key says nothing."""

    floors: int = 2


class Pump(Struct):
    """A table whose key shows no example."""

    flow: int
    """流量: litres a minute."""


class Stairs(Struct):
    """A table with a key that no property file has."""

    steps: int
    """级数: how many steps. Example: `240`"""


@pytest.mark.parametrize(("table", "field"), [(Lift, "Lift.floors"), (Pump, "Pump.flow")])
def test_a_key_without_a_meaning_or_an_example_is_refused_by_its_name(
    table: type[Struct], field: str
) -> None:
    with pytest.raises(MeaningMissing, match=field):
        list_keys(table)


def test_the_examples_of_all_keys_are_a_property_that_the_loader_takes(tmp_path: Path) -> None:
    file = tmp_path / "tower" / "property.toml"
    file.parent.mkdir()
    file.write_text("\n".join(map(write_example, list_sections(Property))), encoding="utf-8")
    assert read_property(file).shifts[0].people == ["zhou.jianfeng"]


def test_an_example_that_the_loader_refuses_is_refused_with_its_field() -> None:
    top = next(list_sections(Property))
    with pytest.raises(PropertyInvalid, match="steps"):
        check_examples([top, Section("", None, list_keys(Stairs))])
