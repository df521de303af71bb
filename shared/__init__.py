"""Mechanism that every service stands on; knows no service."""
