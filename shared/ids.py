"""Identifiers: UUID version 7 (RFC 9562) as lower-case strings; they sort by the time they were made."""

from datetime import UTC, datetime

from uuid_utils import uuid7


def new_id() -> str:
    """A new time-ordered identifier of 36 characters."""
    return str(uuid7())


def id_time(identifier: str) -> datetime:
    """The millisecond in which `identifier` was made."""
    return datetime.fromtimestamp(int(identifier.replace("-", "")[:12], 16) / 1000, UTC)
