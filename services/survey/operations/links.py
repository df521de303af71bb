"""Links to the residents' forms: unguessable, kept hashed, the same whenever they are asked for."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.followup import FollowUp
from services.survey.models import form_links
from shared.auth import hashed
from shared.service import Service


async def link_to_form(service: Service, followup: FollowUp) -> str:
    """The address of the resident's form; it works also where the secret has changed since it was planned."""
    word = token(service, followup.id)
    async with service.database.read() as connection:
        opens = await queries.by_token(connection, hashed(word))
    if opens is None:
        async with service.database.begin() as connection:
            await keep_links(service, connection, [followup.id])
    return f"{service.settings.origin}/f/{word}"


def token(service: Service, followup_id: str) -> str:
    """The unguessable word that opens the form of this follow-up."""
    return service.secret.token("follow-up", followup_id)


async def keep_links(service: Service, connection: AsyncConnection, ids: Iterable[str]) -> None:
    """Let the tokens of these follow-ups open their forms."""
    rows = [{"token_hash": hashed(token(service, id_)), "followup_id": id_} for id_ in sorted(ids)]
    if rows:
        await connection.execute(dialect(connection).insert(form_links).on_conflict_do_nothing(), rows)


def dialect(connection: AsyncConnection) -> Any:
    """The database's own INSERT, which knows what to do on a conflict."""
    return postgresql if connection.dialect.name == "postgresql" else sqlite
