"""intake: accepts demands and facts, makes them durable, and publishes them."""
