"""Identifiers: UUID version 7 (RFC 9562) as lower-case strings; they sort by the time they were made."""

from uuid import UUID

from uuid_utils import uuid7


def new_id() -> str:
    """A new time-ordered identifier of 36 characters."""
    return str(uuid7())


def parse_uuid(text: str) -> str | None:
    """`text`, however it is written, as an identifier; None where it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
