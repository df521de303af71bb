"""kpi: the target rates of each property, counted exactly, at any instant, with the evidence."""
