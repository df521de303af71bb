"""What kpi reads."""
