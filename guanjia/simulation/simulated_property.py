"""The property of the simulation, one of its own in the data folder: no real one is ever touched."""

import re
from pathlib import Path

from shared.settings import PROJECT

PROPERTY = "guanglong-simulated"
_MODEL = PROJECT / "properties" / "guanglong" / "property.toml"
_HEAD = "# 模拟数据 / simulated: made by `guanjia simulate`, removed by `guanjia simulate --remove`\n"
_MORE = """
[service_levels.decoration."*"]
clocks = { complete = "30d" }

[service_levels.key_custody."*"]
clocks = { complete = "off" }

[service_levels.community."*"]
clocks = { complete = "14d" }

[service_levels.business."*"]
clocks = { complete = "5d" }

[service_levels.suggestion."*"]
clocks = { complete = "7d" }

[[shifts]]
name = "经营值班"
name_en = "Operations on call"
people = ["bao.siyuan"]
from = "00:00"
to = "24:00"
"""
"""What takes weeks is promised within weeks; errands and the club are asked for at any hour."""


def write_property(folder: Path) -> Path:
    """The model property as a simulated one, named so, under `folder`; its file."""
    text = _MODEL.read_text(encoding="utf-8")
    text = re.sub(r'^name = "(.*)"$', r'name = "\1（模拟）"', text, count=1, flags=re.MULTILINE)
    text = re.sub(r'^name_en = "(.*)"$', r'name_en = "\1 (simulated)"', text, count=1, flags=re.MULTILINE)
    file = folder / PROPERTY / "property.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_HEAD + text + _MORE, encoding="utf-8")
    return file
