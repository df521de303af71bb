"""Grafana's dashboards, made from code."""
