"""What the product is measured beside, each a program of its own in `.venv/peers`: the same eight durable steps."""
