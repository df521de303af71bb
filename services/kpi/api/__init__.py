"""kpi over HTTP."""
