"""What the dashboards are made of: a query, a number, a curve, a table; one look, one source of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="guanjia-prometheus")
GOOD, BAD, WARN, PLAIN = "green", "red", "orange", "blue"
FULL_WIDTH = 24


@dataclass(frozen=True)
class Query:
    """A query and what its series are called."""

    expr: str
    legend: str = ""


def metric(name: str, by: str, where: str = "") -> str:
    """A gauge that every copy of a service shows alike: counted once, by the labels `by`."""
    return f"max by ({by}) ({name}{{{where}}})"


def growth(counter: str, span: str) -> str:
    """By how much a counter has grown within `span`; `increase` alone misses a series' first step."""
    continued, begun = (
        f"increase({counter}[{span}]) and {counter} offset {span}",
        f"{counter} unless {counter} offset {span}",
    )
    return f"({continued}) or ({begun})"


def number(
    title: str, *queries: Query, unit: str = "short", width: int = 4, bad_above: float | None = None,
    bad_below: float | None = None, decimals: int | None = None, about: str = "",
) -> stat.Panel:  # fmt: skip
    """Numbers as they are now; red above `bad_above` or below `bad_below`, green otherwise."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(width)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(bad_above, bad_below))
    )
    if decimals is not None:
        panel.decimals(decimals)
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(query, ref).range())
    return panel


def curve(
    title: str, *queries: Query, unit: str = "short", width: int = 12, height: int = 8, stacked: bool = False,
    target: str = "", least: float | None = 0, most: float | None = None, about: str = "",
) -> timeseries.Panel:  # fmt: skip
    """How it went; the series named `target` is drawn as a dashed line."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(height)
        .span(width)
        .fill_opacity(40 if stacked else 8)
        .line_width(2)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if least is not None:
        panel.axis_soft_min(least)
    if most is not None:
        panel.axis_soft_max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if target:
        panel.override_by_name(target, _dash_overrides())
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(query, ref).range())
    return panel


def table_panel(
    title: str, columns: Mapping[str, Query], key: str, *, height: int = 10, width: int = FULL_WIDTH
) -> table.Panel:
    """A table as it is now: a row for every value of the label `key`, a column per query."""
    refs = dict(zip("ABCDEFGH", columns, strict=False))
    panel = table.Panel().title(title).datasource(SOURCE).height(height).span(width)
    for ref, name in refs.items():
        panel.with_target(_target(columns[name], ref).instant().format(PromQueryFormat.TABLE))
    hidden = {f"Time {index}": True for index in range(1, len(refs) + 1)} | {"Time": True}
    shown = {f"Value #{ref}": name for ref, name in refs.items()}
    panel.with_transformation(
        DataTransformerConfig(id_val="joinByField", options={"byField": key, "mode": "outer"})
    )
    panel.with_transformation(
        DataTransformerConfig(id_val="organize", options={"excludeByName": hidden, "renameByName": shown})
    )
    return panel


def value_names(texts: Mapping[str, str], colors: Mapping[str, str] | None = None) -> list[ValueMap]:
    """The mapping of values to the texts, and the colours, by which they are shown."""
    color_by_value = colors or {}
    options = {
        value: ValueMappingResult(text=text, color=color_by_value.get(value), index=index)
        for index, (value, text) in enumerate(texts.items())
    }
    return [ValueMap(options=options)]


def properties(several: bool) -> dashboard.QueryVariable:
    """The choice of property, of those that have targets."""
    variable = (
        dashboard.QueryVariable("property")
        .label("项目 · property")
        .datasource(SOURCE)
        .query({"query": "label_values(guanjia_kpi_target_ratio, property)", "refId": "property"})
        .definition("label_values(guanjia_kpi_target_ratio, property)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        variable.all_value(".*").current(VariableOption(selected=True, text="All", value="$__all"))
    return variable


def board(uid: str, title: str, about: str, since: str, refresh: str) -> dashboard.Dashboard:
    """An empty dashboard with links to the others."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["guanjia"])
        .timezone("browser")
        .readonly()
        .time(since, "now")
        .refresh(refresh)
        .link(
            dashboard.DashboardLink("管家 · Guanjia")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["guanjia"])
            .as_dropdown(False)
            .keep_time(False)
        )
    )


def _target(query: Query, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(SOURCE).expr(query.expr).legend_format(query.legend).ref_id(ref)


def _thresholds(above: float | None, below: float | None) -> dashboard.ThresholdsConfig:
    steps: Sequence[Threshold] = [Threshold(value=None, color=PLAIN)]
    if above is not None:
        steps = [Threshold(value=None, color=GOOD), Threshold(value=above, color=BAD)]
    if below is not None:
        steps = [Threshold(value=None, color=BAD), Threshold(value=below, color=GOOD)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(steps))


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )


def _dash_overrides() -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
        DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": WARN}),
    ]
