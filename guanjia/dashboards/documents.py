"""Grafana's dashboards, made from code: what `guanjia docs` writes to deploy/grafana/dashboards."""

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from guanjia.dashboards.dispatch import dispatch
from guanjia.dashboards.health import health
from guanjia.dashboards.rates import rates


def dashboards() -> dict[str, str]:
    """File name → the dashboard as JSON."""
    encoder = JSONEncoder(indent=2, ensure_ascii=False, sort_keys=True)
    made = {"rates": rates(), "dispatch": dispatch(), "health": health()}
    return {
        f"{name}.json": encoder.encode(_numbered(builder.build())) + "\n" for name, builder in made.items()
    }


def _numbered(made: Dashboard) -> Dashboard:
    """Panels with numbers, by which links and shared views name them."""
    for number, panel in enumerate(made.panels or [], 1):
        panel.id_val = number
    return made
