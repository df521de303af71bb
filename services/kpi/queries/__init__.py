"""Reads of kpi: what is known of things, what it comes to, and the items behind it."""

from services.kpi.queries.evidence import Evidence, Position, evidence, position
from services.kpi.queries.log import bills_of, cases_after, grouped, items_of, orphans, things_after, told
from services.kpi.queries.sums import sums

__all__ = [
    "Evidence",
    "Position",
    "bills_of",
    "cases_after",
    "evidence",
    "grouped",
    "items_of",
    "orphans",
    "position",
    "sums",
    "things_after",
    "told",
]
