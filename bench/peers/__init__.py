"""The product's peers, each a program of its own in `.venv/peers`: the same eight durable steps."""
