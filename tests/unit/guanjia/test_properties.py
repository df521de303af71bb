"""Properties as a process loads them: configured ones before those that commands made, targets by rate."""

from pathlib import Path

import pytest

from guanjia.properties import generated_properties_dir, load_all_properties, load_checked
from services.kpi.domain.rates import RATES
from shared.properties.loader import PropertyInvalid
from shared.settings import PROJECT, Settings

LEAST = 'name = "试楼"\ntimezone = "Asia/Shanghai"\n'


def write(folder: Path, name: str, text: str = LEAST) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "property.toml").write_text(text)


@pytest.mark.parametrize("target", ["happiness = 1", "'' = 1", "follow-up = 1"])
def test_a_target_of_no_rate_is_refused_with_its_file_and_field(tmp_path: Path, target: str) -> None:
    write(tmp_path, "tower", f"{LEAST}[targets]\n{target}\n")
    with pytest.raises(PropertyInvalid) as caught:
        load_checked(tmp_path)
    assert caught.value.file == tmp_path / "tower" / "property.toml"
    assert caught.value.path == "targets." + target.partition(" ")[0].strip("'")
    assert "repair_rework" in str(caught.value)


def test_every_rate_may_have_a_target_of_its_own(tmp_path: Path) -> None:
    changes = "".join(f"{kpi} = 0.5\n" for kpi in RATES)
    write(tmp_path, "tower", f"{LEAST}[targets]\n{changes}")
    assert list(load_checked(tmp_path)["tower"].target_changes) == list(RATES)


def test_the_example_property_names_a_target_for_every_rate() -> None:
    tower = load_checked(PROJECT / "properties")["guanglong"]
    assert list(tower.target_changes) == list(RATES)


def test_a_property_that_a_command_made_is_loaded_unless_one_is_configured_by_its_name(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path / "data", properties_dir=tmp_path / "properties")
    write(generated_properties_dir(settings), "made")
    write(generated_properties_dir(settings), "tower", LEAST.replace("试楼", "模拟"))
    write(settings.properties_dir, "tower")
    properties = load_all_properties(settings)
    assert {id_: prop.name for id_, prop in properties.items()} == {"made": "试楼", "tower": "试楼"}
