"""Grafana's dashboards, made from code: what `guanjia docs` writes to deploy/grafana/dashboards."""

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from guanjia.dashboards.dispatch import build_dispatch_dashboard
from guanjia.dashboards.health import build_health_dashboard
from guanjia.dashboards.rates import rates


def build_dashboards() -> dict[str, str]:
    """File name → the dashboard as JSON."""
    encoder = JSONEncoder(indent=2, ensure_ascii=False, sort_keys=True)
    built = {"rates": rates(), "dispatch": build_dispatch_dashboard(), "health": build_health_dashboard()}
    return {
        f"{name}.json": encoder.encode(_number_panels(builder.build())) + "\n"
        for name, builder in built.items()
    }


def _number_panels(built: Dashboard) -> Dashboard:
    """Panels with numbers, by which links and shared views name them."""
    for number, panel in enumerate(built.panels or [], 1):
        panel.id_val = number
    return built
