"""docs/properties.md, the reference of the property file: every table and key, an example, what is built in.

The examples of all keys together are a property file, and the page is refused unless the loader takes it.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from guanjia.property_keys import Key, list_keys, write_duration, write_table
from services.kpi.domain.rates import RATES
from services.kpi.domain.targets import find_unknown_targets
from shared.properties.loader import PropertyInvalid, convert_property
from shared.properties.property import Property, find_mistakes
from shared.properties.service_levels import ANY, SAME_AS, WAIT_CAPS
from shared.properties.service_levels import BUILT_IN as BUILT_IN_LEVELS

BOUND_SIGNS = {"min": "≥", "max": "≤"}
CLOCKS = ("respond", "arrive", "judge", "complete")
PAGE = "docs/properties.md"
INTRODUCTION = """# The property file

A property is a folder below `GUANJIA_PROPERTIES_DIR` (by default `properties/`) with a `property.toml` in it,
in UTF-8. The folder's name is the property's id: `a-z`, `0-9`, `-` and `_`, up to 64 of them. `name` and
`timezone` are needed, everything else has a default. A file with a mistake is refused whole, with the file
and the field; a key that is not on this page is a mistake. `guanjia properties` checks the files; services
read them when they start. [The example property](../properties/guanglong/property.toml) is such a file.

物业项目配置文件：每个物业一个文件夹，内含 `property.toml`；除 `name` 与 `timezone` 外均有默认值。

This page is made by `guanjia docs` from the structs that read the file (`shared/properties/`).

## How values are written 写法

| type | in the file |
| --- | --- |
| text 文本 | `"in quotes"` |
| duration 时长 | numbers with units: `"45s"`, `"15m"`, `"1h30m"`, `"4d"`, `"2w"`; a day is 24 hours |
| time of day 时刻 | local time, `"00:00"` to `"24:00"` |
| day 日期 | `2026-12-31`, without quotes |
| floors 楼层 | ranges: `"6-28"`, `"B2-B1, 6-28"`; basements are `B1`, `B2` downwards, there is no floor 0 |
| time zone 时区 | a name of the tz database: `"Asia/Shanghai"` |
"""


@dataclass(frozen=True)
class Section:
    """A table of the file. `header` is empty at the top of the file; `source` is the key that leads to it."""

    header: str
    source: Key | None
    keys: list[Key]

    @property
    def heading(self) -> str:
        """Its heading on the page."""
        return f"`{self.header}` {self.source.chinese}" if self.source else "The top of the file 基本信息"


def list_sections(struct: type[Struct], path: str = "", source: Key | None = None) -> Iterator[Section]:
    """The table that `struct` reads, and the tables below it. Raises MeaningMissing."""
    keys = list_keys(struct)
    header = f"[[{path}]]" if source and source.repeats else f"[{path}]" if source else ""
    yield Section(header, source, keys)
    for key in keys:
        if key.table:
            yield from list_sections(key.table, ".".join(filter(None, (path, key.name, key.example))), key)


def render_reference() -> str:
    """The page. Raises MeaningMissing for a field that says nothing, PropertyInvalid for wrong examples."""
    sections = list(list_sections(Property))
    check_examples(sections)
    parts = [INTRODUCTION, *map(render_section, sections), render_service_levels(), render_targets()]
    return "\n".join(parts)


def check_examples(sections: list[Section]) -> None:
    """The examples of all sections are one file that the loader takes. Raises PropertyInvalid."""
    tables = tomllib.loads("\n".join(map(write_example, sections)))
    prop = convert_property(Path(PAGE).with_suffix("") / "property.toml", tables)
    for path, message in (*find_mistakes(prop), *find_unknown_targets(prop)):
        raise PropertyInvalid(Path(PAGE), path, message)


def write_example(section: Section) -> str:
    """The section as it may stand in a file, every key with its example."""
    lines = [f"{key.name} = {key.example}" for key in section.keys if not key.table]
    return "\n".join([section.header, *lines] if section.header else lines) + "\n"


def render_section(section: Section) -> str:
    """What a table is for, its keys, and an example of all of them."""
    meaning = (
        f"{section.source.meaning[0].upper()}{section.source.meaning[1:]}.\n\n" if section.source else ""
    )
    rows = [[f"`{key.name}`", key.chinese, key.type_name, key.default, key.meaning] for key in section.keys]
    table = write_table(["key", "中文", "type", "default", "meaning"], rows)
    return f"## {section.heading}\n\n{meaning}{table}\n```toml\n{write_example(section)}```\n"


def render_service_levels() -> str:
    """What is promised where no file says otherwise."""
    rows = []
    for kind, priorities in BUILT_IN_LEVELS.items():
        kinds = [kind, *(other for other, model in SAME_AS.items() if model == kind)]
        name = "every other" if kind == ANY else ", ".join(f"`{kind}`" for kind in kinds)
        for priority, (clocks, accept_within) in priorities.items():
            rows.append([name, priority, *(clocks.get(clock, "") for clock in CLOCKS), accept_within])
            name = ""
    table = write_table(["kind", "priority", *CLOCKS, "`accept_within`"], rows)
    caps = ", ".join(f"`{reason}` {write_duration(cap)}" for reason, cap in WAIT_CAPS.items())
    return f"## Built-in service levels 内置服务时限\n\n{table}\n`wait_caps`: {caps}.\n"


def render_targets() -> str:
    """The rates with the targets that hold where no file says otherwise."""
    rows = [
        [f"`{rate.kpi}`", rate.name.zh, rate.name.en, BOUND_SIGNS[rate.bound], f"{rate.target.normalize():f}"]
        for rate in RATES.values()
    ]
    return f"## Built-in targets 内置目标\n\n{write_table(['rate', '中文', 'English', '', 'target'], rows)}"
