"""Links to the residents' forms: unguessable, kept hashed, the same whenever they are asked for."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.domain.followup import FollowUp
from services.survey.models import form_links
from shared.auth import hash_token
from shared.database.bulk import BulkInsert
from shared.service import Service

_LINKS = BulkInsert(form_links, lambda insert: insert.on_conflict_do_nothing())


async def link_to_form(service: Service, followup: FollowUp) -> str:
    """The address of the resident's form; it works also where the secret has changed since it was planned."""
    word = form_token(service, followup.id)
    async with service.database.snapshot() as connection:
        opens = await queries.find_by_token(connection, hash_token(word))
    if opens is None:
        async with service.database.transaction() as connection:
            await save_links(service, connection, [followup.id])
    return f"{service.settings.origin}/f/{word}"


def form_token(service: Service, followup_id: str) -> str:
    """The unguessable word that opens the form of this follow-up."""
    return service.secret.token("follow-up", followup_id)


async def save_links(service: Service, connection: AsyncConnection, ids: Iterable[str]) -> None:
    """Let the tokens of these follow-ups open their forms."""
    rows = [{"token_hash": hash_token(form_token(service, id_)), "followup_id": id_} for id_ in sorted(ids)]
    if rows:
        await _LINKS.run(connection, rows)
