"""Durable messages: the bus, outbox and relay, consumers and inbox, dead letters."""
