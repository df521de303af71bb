"""What a rate is to reach: the built-in target, unless the property's file names another."""

from decimal import Decimal
from pathlib import Path

from services.kpi.domain.rates import RATES
from services.kpi.domain.targets import find_unknown_targets, targets_of
from shared.properties.loader import read_property
from shared.properties.property import Property


def prop(folder: Path, text: str = "") -> Property:
    file = folder / "shi-lou" / "property.toml"
    file.parent.mkdir()
    file.write_text(f'name = "试楼"\ntimezone = "Asia/Shanghai"\n{text}')
    return read_property(file)


def test_without_a_word_in_the_file_the_built_in_targets_hold(tmp_path: Path) -> None:
    assert targets_of(prop(tmp_path)) == {kpi: rate.target for kpi, rate in RATES.items()}


def test_a_target_may_be_another(tmp_path: Path) -> None:
    targets = targets_of(prop(tmp_path, "[targets]\nrepair_timeliness = 0.98\nfollow_up = '0.999'\n"))
    assert targets["repair_timeliness"] == Decimal("0.98")
    assert targets["follow_up"] == Decimal("0.999")
    assert targets["valid_complaint"] == RATES["valid_complaint"].target


def test_a_target_that_belongs_to_no_rate_is_named(tmp_path: Path) -> None:
    ((path, message),) = find_unknown_targets(prop(tmp_path, "[targets]\nhappiness = 1\n"))
    assert path == "targets.happiness"
    assert "repair_rework" in message
