"""Links to the residents' forms: unguessable, kept hashed, the same whenever they are asked for."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.followup import FollowUp
from services.survey.models import form_links
from shared.auth import hashed
from shared.rows import Insertion
from shared.service import Service

_LINKS = Insertion(form_links, lambda insert: insert.on_conflict_do_nothing())


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
        await _LINKS.run(connection, rows)
