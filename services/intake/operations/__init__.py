"""The operations of intake: everything that it writes."""
