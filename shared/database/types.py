"""Column types that mean the same on both databases, and the metadata that a service's tables share."""

from datetime import UTC, datetime

from sqlalchemy import JSON, DateTime, MetaData, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: stored in UTC, always aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs an offset")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Identifier = Uuid(as_uuid=False)
"""A UUID as text in Python, 16 bytes on PostgreSQL."""

Json = JSON().with_variant(JSONB(), "postgresql")
"""A JSON document; encoded and decoded by msgspec."""

Key = String().with_variant(String(collation="C"), "postgresql")
"""Text that is compared by code points on every database."""


def metadata_for(service: str) -> MetaData:
    """The metadata of a service's tables; `service` is also its schema on PostgreSQL."""
    metadata = MetaData(schema=service)
    metadata.naming_convention = {
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
    return metadata
