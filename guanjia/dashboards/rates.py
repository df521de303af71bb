"""The dashboard of the target rates: against their targets, by property and window, and how they went."""

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, VariableOption

from guanjia.dashboards.panels import (
    BAD,
    GOOD,
    Query,
    board,
    curve,
    metric,
    number,
    properties,
    table_panel,
    value_names,
)
from services.kpi.domain.rate import AREAS, BilingualText, Rate
from services.kpi.domain.rates import RATES

HERE = 'property="$property"'
NOW = f'{HERE},window="$window"'
MET = metric("guanjia_kpi_target_met", "kpi", NOW)
WINDOWS = {"month": "本月 · month", "year": "本年 · year", "rolling_30d": "近 30 天 · rolling 30 days"}


def rates() -> dashboard.Dashboard:
    """All of it."""
    made = board(
        "guanjia-rates",
        "指标 · Target rates",
        "服务承诺指标与目标，依据见 /rates。 The rates against their targets; evidence behind each: /rates.",
        since="now-30d",
        refresh="30s",
    ).variables([properties(several=False), _windows()])
    for panel in _summary():
        made.with_panel(panel)
    made.with_panel(_table())
    for area, name in AREAS.items():
        made.with_row(dashboard.Row(_both(name)))
        for rate in RATES.values():
            if rate.area == area:
                made.with_panel(_rate(rate))
    made.with_row(dashboard.Row("口碑与里程碑 · word of mouth and milestones"))
    for course in _beside_the_rates():
        made.with_panel(course)
    return made


def _both(text: BilingualText) -> str:
    return f"{text.zh} · {text.en}"


def _windows() -> dashboard.CustomVariable:
    first, text = next(iter(WINDOWS.items()))
    return (
        dashboard.CustomVariable("window")
        .label("统计期 · window")
        .values(",".join(f"{words} : {name}" for name, words in WINDOWS.items()))
        .options([VariableOption(selected=n == first, text=w, value=n) for n, w in WINDOWS.items()])
        .current(VariableOption(selected=True, text=text, value=first))
    )


def _summary() -> list[stat.Panel]:
    targets = metric("guanjia_kpi_target_ratio", "kpi", HERE)
    age = f"time() - {metric('guanjia_kpi_as_of_timestamp_seconds', 'property', HERE)}"
    missed = metric("guanjia_kpi_target_met", "property, kpi, window")
    return [
        number("达标 · met", Query(f"sum({MET})"), bad_below=len(RATES)),
        number("未达标 · missed", Query(f"sum(1 - {MET})"), bad_above=1),
        number("无样本 · no sample", Query(f"count({targets}) - (count({MET}) or vector(0))")),
        number(
            "口碑指数 · word of mouth",
            Query(metric("guanjia_word_of_mouth_index", "property", NOW)),
            bad_below=0,
            about="3 × 满意 - 30 × 不满意。 3 x satisfied - 30 x dissatisfied.",
        ),
        number("数据时效 · age of the figures", Query(age), unit="s", bad_above=60, decimals=0),
        number(
            "各项目未达标 · missed by property and window",
            Query(f"sum by (property, window) (1 - {missed})", "{{property}} {{window}}"),
            bad_above=1,
        ),
    ]


def _table() -> table.Panel:
    columns = {
        "分子 · numerator": Query(metric("guanjia_kpi_numerator", "kpi", NOW)),
        "分母 · denominator": Query(metric("guanjia_kpi_denominator", "kpi", NOW)),
        "实际 · rate": Query(metric("guanjia_kpi_ratio", "kpi", NOW)),
        "目标 · target": Query(metric("guanjia_kpi_target_ratio", "kpi, bound", HERE)),
        "结果 · result": Query(MET),
    }
    made = table_panel("服务承诺指标 · the target rates", columns, "kpi", height=len(RATES) + 1)
    names = {kpi: _both(rate.name) for kpi, rate in RATES.items()}
    made.override_by_name("kpi", [DynamicConfigValue(id_val="mappings", value=value_names(names))])
    made.override_by_name(
        "bound",
        [DynamicConfigValue(id_val="mappings", value=value_names({"min": "≥", "max": "≤"}))],
    )
    for name in ("实际 · rate", "目标 · target"):
        made.override_by_name(name, [DynamicConfigValue(id_val="unit", value="percentunit")])
    result = value_names({"1": "达标 · met", "0": "未达标 · missed"}, {"1": GOOD, "0": BAD})
    made.override_by_name(
        "结果 · result",
        [
            DynamicConfigValue(id_val="mappings", value=result),
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ],
    )
    return made


def _rate(rate: Rate) -> timeseries.Panel:
    kpi = f'{HERE},kpi="{rate.kpi}"'
    goal = "目标 · target"
    return curve(
        _both(rate.name),
        Query(metric("guanjia_kpi_ratio", "kpi", f'{kpi},window="$window"'), "实际 · rate"),
        Query(metric("guanjia_kpi_target_ratio", "kpi", kpi), goal),
        unit="percentunit",
        width=6,
        height=7,
        target=goal,
        least=None if rate.bound == "min" else 0,
        most=1 if rate.bound == "min" else None,
    )


def _beside_the_rates() -> list[timeseries.Panel]:
    due = metric("guanjia_milestone_deadline_timestamp_seconds", "milestone", HERE)
    return [
        curve(
            "不满意的原因 · why the dissatisfied are",
            Query(metric("guanjia_dissatisfied_answers", "reason", NOW), "{{reason}}"),
            stacked=True,
        ),
        curve(
            "距里程碑 · time to the milestones", Query(f"{due} - time()", "{{milestone}}"), unit="s", width=6
        ),
        curve(
            "里程碑已达成 · milestones reached",
            Query(metric("guanjia_milestone_reached", "milestone", HERE), "{{milestone}}"),
            width=6,
            most=1,
        ),
    ]
