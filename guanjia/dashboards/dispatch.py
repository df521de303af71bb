"""The dashboard of dispatch, live: what is open, what waits, what is late, how long a demand takes."""

from grafana_foundation_sdk.builders import dashboard, stat, timeseries

from guanjia.dashboards.panels import Query, board, curve, growth, metric, number, properties

THESE = 'property=~"$property"'
OPEN = metric("guanjia_cases_open", "property, kind, state", THESE)
LEAD = "guanjia_demand_lead_time_seconds"
HOUR = 3600


def build_dispatch_dashboard() -> dashboard.Dashboard:
    """All of it."""
    built = board(
        "guanjia-dispatch",
        "派单 · Dispatch",
        "在办工单、时限、回访与办理时长。 Open cases, deadlines, follow-ups and lead time, live.",
        since="now-6h",
        refresh="5s",
    ).variables([properties(several=True)])
    for panel in _current_panels():
        built.with_panel(panel)
    for trend in _trend_panels():
        built.with_panel(trend)
    return built


def _current_panels() -> list[stat.Panel]:
    waiting = metric("guanjia_cases_open", "property, kind, state", f'{THESE},kind="repair",state="reported"')
    overdue = metric("guanjia_followups_overdue", "property, kind", THESE)
    missed = f"sum({growth(_deadlines('missed'), '1h')})"
    return [
        number("在办 · open", Query(f"sum({OPEN}) or vector(0)")),
        number("报修待派 · repairs nobody has", Query(f"sum({waiting}) or vector(0)"), bad_above=1),
        number(
            "一小时内超时 · deadlines missed in the last hour",
            Query(f"{missed} or vector(0)"),
            bad_above=1,
            decimals=0,
        ),
        number("待回访 · follow-ups open", Query(f"sum({_follow_ups()}) or vector(0)")),
        number("逾期回访 · follow-ups overdue", Query(f"sum({overdue}) or vector(0)"), bad_above=1),
        number(
            "去向不明 · demands unaccounted for",
            Query("max(guanjia_demands_unaccounted)"),
            bad_above=1,
            about="已受理却没有工单，应恒为 0。 Accepted and without a case: 0, always.",
        ),
    ]


def _trend_panels() -> list[timeseries.Panel]:
    ended = f"sum by (outcome) ({growth(_deadlines(), '$__rate_interval')})"
    done = f"sum(rate({LEAD}_count[$__rate_interval])) * {HOUR}"
    return [
        curve("在办，按状态 · open by state", Query(f"sum by (state) ({OPEN})", "{{state}}"), stacked=True),
        curve("在办，按类别 · open by kind", Query(f"sum by (kind) ({OPEN})", "{{kind}}"), stacked=True),
        curve(
            "时限：达到、预警、超时 · deadlines met, warned of, missed",
            Query(ended, "{{outcome}}"),
        ),
        curve(
            "办理时长 · lead time",
            *(Query(_quantile(share), f"p{share * 100:.0f}") for share in (0.5, 0.9, 0.99)),
            unit="s",
            about="自提出至办结。 From a demand's being raised to its being done.",
        ),
        curve("每小时办结 · done per hour", Query(done, "办结 · done")),
        curve(
            "回访 · follow-ups",
            Query(f"sum by (kind) ({_follow_ups()})", "{{kind}}"),
            stacked=True,
        ),
    ]


def _deadlines(outcome: str = ".*") -> str:
    return f'guanjia_deadlines_total{{{THESE},outcome=~"{outcome}"}}'


def _follow_ups() -> str:
    return metric("guanjia_followups_open", "property, kind", THESE)


def _quantile(share: float) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({LEAD}_bucket[$__range])))"
