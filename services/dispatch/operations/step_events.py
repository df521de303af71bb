"""Steps as a source of events: what was not published is made anew from its row; order after a restore."""

from collections.abc import Callable, Sequence

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.earlier_forms import decode_case_body
from services.dispatch.domain.events import case_event
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.models import messaging_tables, steps
from services.dispatch.queries.histories import entry_decoder
from shared.database.bulk import any_of
from shared.messages.cloudevents import encode
from shared.messaging.outbox import XID, OutgoingEvent


async def renumber_restored_steps(connection: AsyncConnection) -> int:
    """Where a dump was restored into another cluster, whose transactions are numbered below those of its
    rows: put these before all that is to come; how many steps that were."""
    if connection.dialect.name != "postgresql":
        return 0
    latest: Select[int | None] = select(func.max(steps.c.xid))
    is_restored = latest.scalar_subquery() > XID
    if not (await connection.execute(select(is_restored))).scalar():
        return 0
    unsent = exists().where(messaging_tables.unsent.c.xid == steps.c.xid)
    rows = await connection.execute(update(steps).where(steps.c.xid > 0, ~unsent).values(xid=0))
    return rows.rowcount


class StepEvents:
    """The events of the steps that transactions wrote."""

    def __init__(self, catalog: Callable[[], WorkflowCatalog]) -> None:
        self._catalog = catalog

    async def read_events(
        self, connection: AsyncConnection, xids: Sequence[int]
    ) -> list[tuple[int, OutgoingEvent]]:
        """The events, in the order of the steps, each with its transaction."""
        query: Select[int, bytes, bytes] = select(steps.c.xid, steps.c.entry, steps.c.body)
        query = query.where(any_of(connection, steps.c.xid, xids), steps.c.body.is_not(None))
        rows = await connection.execute(query.order_by(steps.c.xid, steps.c.position))
        return [(xid, self._make_event(entry, body)) for xid, entry, body in rows]

    def _make_event(self, entry: bytes, body: bytes) -> OutgoingEvent:
        case = decode_case_body(body)
        is_open = self._catalog().workflow_of(case).is_open(case.state)
        event = case_event(case, entry_decoder.decode(entry), is_open=is_open)
        return OutgoingEvent(event.type, encode(event))
