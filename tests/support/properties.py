"""Property files for tests."""

from pathlib import Path

TOWER = """\
name = "Test Tower"
timezone = "Asia/Shanghai"

[[people]]
id = "wang"
name = "Wang Wei"
roles = ["engineer"]
skills = ["*"]

[[people]]
id = "li"
name = "Li Na"
roles = ["engineer"]
skills = ["*"]

[[people]]
id = "qian"
name = "Qian Yu"
roles = ["quality"]
skills = []

[[people]]
id = "zhao"
name = "Zhao Min"
roles = ["dispatcher", "quality"]
skills = []
"""


def write_property(folder: Path, name: str, text: str = TOWER) -> Path:
    """Write `folder/name/property.toml`; the file."""
    file = folder / name / "property.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
