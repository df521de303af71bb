"""The resident's form."""
