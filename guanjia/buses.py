"""Which bus a process uses: RabbitMQ where a URL is set, else the one in the database."""

from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.bus import Bus
from shared.messaging.embedded import EmbeddedBus
from shared.messaging.topology import QUEUES
from shared.settings import Settings

POOL = len(QUEUES) + 5
"""A set that is handled holds a connection: one for each queue, and some for those who publish."""


def make_bus(settings: Settings, clock: Clock) -> Bus:
    """A bus for `settings`."""
    if settings.amqp_url:
        # Here, because its libraries take a third of a start that has no use for them.
        from shared.messaging.rabbitmq import RabbitBus

        return RabbitBus(settings.amqp_url)
    return EmbeddedBus(Database("bus", settings.database_url, settings.data_dir, pool=POOL), clock)
