"""Links to the residents' forms: unguessable, kept hashed, the same whenever they are asked for."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.domain.followup import FollowUp
from services.survey.models import form_links
from shared.auth import hash_token
from shared.database.bulk import BulkInsert
from shared.host import Host

_LINKS = BulkInsert(form_links, lambda insert: insert.on_conflict_do_nothing())


async def link_to_form(host: Host, followup: FollowUp) -> str:
    """The address of the resident's form; it works also where the secret has changed since it was planned."""
    word = form_token(host, followup.id)
    async with host.database.snapshot() as connection:
        opens = await queries.find_by_token(connection, hash_token(word))
    if opens is None:
        async with host.database.transaction() as connection:
            await save_links(host, connection, [followup.id])
    return f"{host.settings.origin}/f/{word}"


def form_token(host: Host, followup_id: str) -> str:
    """The unguessable word that opens the form of this follow-up."""
    return host.secret.token("follow-up", followup_id)


async def save_links(host: Host, connection: AsyncConnection, ids: Iterable[str]) -> None:
    """Let the tokens of these follow-ups open their forms."""
    rows = [{"token_hash": hash_token(form_token(host, id_)), "followup_id": id_} for id_ in sorted(ids)]
    if rows:
        await _LINKS.execute(connection, rows)
