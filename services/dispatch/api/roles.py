"""Who may look at cases, and who may act on them."""

from shared.auth import Role

READERS: tuple[Role, ...] = ("engineer", "dispatcher", "quality", "operations", "manager")
ACTORS: tuple[Role, ...] = ("engineer", "dispatcher", "quality", "operations")
