"""Links to the residents' forms: unguessable, stored hashed, always the same, until the form expires."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.domain.followup import FollowUp
from services.survey.models import form_links
from shared.auth import hash_token
from shared.database.bulk import BulkInsert
from shared.host import Host

_SAVE_LINKS = BulkInsert(
    form_links,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["token_hash"], set_={"expires_at": insert.excluded.expires_at}
    ),
)


async def get_form_link(host: Host, followup: FollowUp) -> str:
    """The address of the resident's form; it works also where the secret has changed since it was planned."""
    token = make_form_token(host, followup.id)
    async with host.database.snapshot() as connection:
        followup_by_token = await queries.get_followup_by_token(connection, hash_token(token))
    if followup_by_token is None:
        async with host.database.transaction() as connection:
            await save_links(host, connection, {followup.id: followup.form_expires_at})
    return f"{host.settings.origin}/f/{token}"


def make_form_token(host: Host, followup_id: str) -> str:
    """The unguessable token that opens the form of this follow-up."""
    return host.secret.make_token("follow-up", followup_id)


async def save_links(host: Host, connection: AsyncConnection, expiries: Mapping[str, datetime]) -> None:
    """Let the tokens of these follow-ups open their forms until they expire."""
    rows = [
        {
            "token_hash": hash_token(make_form_token(host, id_)),
            "followup_id": id_,
            "expires_at": expiries[id_],
        }
        for id_ in sorted(expiries)
    ]
    if rows:
        await _SAVE_LINKS.execute(connection, rows)
