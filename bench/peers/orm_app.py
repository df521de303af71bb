"""FastAPI with SQLAlchemy ORM as most would write it: a session and a commit for each request."""

import os
import uuid
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, Identity, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Word = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Strict(BaseModel):
    """No field that nobody knows."""

    model_config = ConfigDict(extra="forbid")


class Location(Strict):
    """Where in the property."""

    floor: int | Word | None = None
    unit: Word | None = None
    place: Name | None = None


class Requester(Strict):
    """Who asks."""

    id: Word | None = None
    name: Name | None = None
    phone: Annotated[str, Field(min_length=3, max_length=40)] | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None


class DemandIn(Strict):
    """A demand."""

    property: Word
    kind: Literal["repair", "complaint", "help", "fee"]
    summary: Annotated[str, Field(min_length=1, max_length=500)]
    description: Annotated[str, Field(max_length=4000)] | None = None
    subject: Word | None = None
    priority: Literal["low", "normal", "high", "urgent"] | None = None
    channel: Word | None = None
    reference: Word | None = None
    location: Location | None = None
    requester: Requester | None = None


class Base(DeclarativeBase):
    """The tables."""


class Demand(Base):
    """A stored demand."""

    __tablename__ = "demands"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    reference: Mapped[str | None] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Outgoing(Base):
    """A row of the outbox."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    demand_id: Mapped[uuid.UUID]
    topic: Mapped[str] = mapped_column(Text)


_url = os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
_engine = create_async_engine(_url, pool_size=16, max_overflow=0)
_session = async_sessionmaker(_engine)
app = FastAPI()


@app.post("/", status_code=202)
async def post_demand(demand: DemandIn) -> dict[str, str]:
    """Store a demand; durable before the 202."""
    id_ = uuid.uuid4()
    async with _session() as session:
        session.add(Demand(id=id_, reference=demand.reference, body=demand.model_dump()))
        session.add(Outgoing(demand_id=id_, topic="demand.accepted"))
        await session.commit()
    return {"id": str(id_)}
