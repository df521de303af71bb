"""The operations of survey: everything that it writes."""
