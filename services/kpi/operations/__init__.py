"""What kpi does."""
