"""Steps that people take over HTTP: concurrent ones share a commit, each key is answered once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Struct
from sqlalchemy import select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch import queries
from services.dispatch.commands import Perform
from services.dispatch.desk import Desk
from services.dispatch.models import action_keys
from services.dispatch.operations.apply import House, carry_out, lay
from services.dispatch.views import case_view
from shared.auth import Identity
from shared.clock import Clock
from shared.database import Database, is_transient
from shared.errors import FieldError, InvalidInput
from shared.rows import Insertion
from shared.sets import Sets

_encoder = msgspec.json.Encoder()
_TRIES = 3
_ROLLED_BACK = "40"
"""Deadlocks and serialization failures, as PostgreSQL numbers them."""
Name = tuple[str | int, str | None]
_KEYS = Insertion(action_keys)


class Asked(Struct, frozen=True, kw_only=True):
    """A step that somebody asks for; `key` with `digest` (of all that was asked) makes repeating harmless."""

    identity: Identity
    perform: Perform
    key: str | None = None
    digest: str = ""


class Answered(Struct, frozen=True):
    """The case after the step, as JSON, and its version."""

    body: bytes
    version: int


class KeyUsedOtherwise(InvalidInput):
    """This `Idempotency-Key` was used for another request."""

    code = "key-used-otherwise"
    title = "This Idempotency-Key was used for another request"
    title_zh = "该 Idempotency-Key 已用于另一请求"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("Idempotency-Key", self.title, self.title_zh)])


class Place(House, Protocol):
    """What acting needs of the service."""

    database: Database
    clock: Clock

    def committed(self) -> None:
        """Something was committed."""
        ...


class Acting:
    """Takes what is asked in sets."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sets: Sets[Asked, Answered] = Sets(self._work)

    async def do(self, asked: Asked) -> Answered:
        """The answer once it is committed. Raises the Problem that stands against it."""
        return await self._sets.do(asked)

    async def finish(self) -> None:
        """Wait for what is in hand."""
        await self._sets.finish()

    async def _work(self, members: Sequence[Asked]) -> Sequence[Answered | Exception]:
        try:
            answers = await self._patiently(members)
        except Exception as error:
            if len(members) == 1 or is_transient(error):
                raise
            return [answer for member in members for answer in await self._alone(member)]
        self._place.committed()
        return answers

    async def _alone(self, member: Asked) -> Sequence[Answered | Exception]:
        try:
            return await self._work([member])
        except Exception as error:
            return [error]

    async def _patiently(self, members: Sequence[Asked]) -> list[Answered | Exception]:
        """Once more where the database chose another transaction as the winner: nothing was committed."""
        for _ in range(_TRIES):
            try:
                return await self._commit(members)
            except DBAPIError as error:
                if not str(getattr(error.orig, "sqlstate", "")).startswith(_ROLLED_BACK):
                    raise
        return await self._commit(members)

    async def _commit(self, members: Sequence[Asked]) -> list[Answered | Exception]:
        now = self._place.clock.now()
        async with self._place.database.begin() as connection:
            return await act(connection, self._place, members, now)


async def act(
    connection: AsyncConnection, house: House, members: Sequence[Asked], now: datetime
) -> list[Answered | Exception]:
    """Take every step once, within the caller's transaction; an answer or the Problem for each."""
    desk = await lay(connection, house, [member.perform for member in members], now)
    results = await _known(
        connection, members
    )  # read while the cases are held: whoever was first has committed
    pending = _firsts(members, results)
    outcomes = await carry_out(connection, house, desk, [member.perform for member in pending])
    done = [member for member, outcome in zip(pending, outcomes, strict=True) if outcome is None]
    answers = await _answers(connection, house, desk, done, now)
    await _remember(connection, done, answers, now)
    for member, outcome in zip(pending, outcomes, strict=True):
        results[_name(member)] = (member.digest, outcome if outcome is not None else answers[_name(member)])
    return [_result(member, results) for member in members]


def _name(member: Asked) -> Name:
    """What tells this request from others: the caller's key, else the request itself."""
    return (member.identity.key, member.key) if member.key is not None else (id(member), None)


def _result(member: Asked, results: dict[Name, tuple[str, Answered | Exception]]) -> Answered | Exception:
    digest, result = results[_name(member)]
    return result if digest == member.digest else KeyUsedOtherwise()


def _firsts(members: Sequence[Asked], known: dict[Name, tuple[str, Answered | Exception]]) -> list[Asked]:
    """Those to be carried out: not answered before, and the first of their key."""
    firsts: dict[Name, Asked] = {}
    for member in members:
        firsts.setdefault(_name(member), member)
    return [member for name, member in firsts.items() if name not in known]


async def _known(
    connection: AsyncConnection, members: Sequence[Asked]
) -> dict[Name, tuple[str, Answered | Exception]]:
    names = sorted({(m.identity.key, m.key) for m in members if m.key is not None})
    if not names:
        return {}
    query = select(action_keys).where(tuple_(action_keys.c.caller, action_keys.c.key).in_(names))
    rows = await connection.execute(query)
    return {(row.caller, row.key): (row.digest, Answered(row.answer, row.version)) for row in rows}


async def _answers(
    connection: AsyncConnection, house: House, desk: Desk, members: Sequence[Asked], now: datetime
) -> dict[Name, Answered]:
    ids = {member.perform.case for member in members}
    histories = await queries.histories(connection, ids) if ids else {}
    over = [i for i in ids if not house.rules.of(desk.held[i].case).is_open(desk.held[i].case.state)]
    reworks = await queries.reworks(connection, over) if over else {}
    answers = {}
    for member in members:
        held = desk.held[member.perform.case]
        told = histories[held.case.id], reworks.get(held.case.id, [])
        view = case_view(house.rules, held.case, held.papers, *told, member.identity, now)
        answers[_name(member)] = Answered(_encoder.encode(view), held.case.version)
    return answers


async def _remember(
    connection: AsyncConnection, members: Sequence[Asked], answers: dict[Name, Answered], now: datetime
) -> None:
    rows = [
        {
            "caller": member.identity.key,
            "key": member.key,
            "digest": member.digest,
            "version": answers[_name(member)].version,
            "answer": answers[_name(member)].body,
            "recorded_at": now,
        }
        for member in members
        if member.key is not None
    ]
    if rows:
        await _KEYS.run(connection, rows)
