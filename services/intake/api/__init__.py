"""intake over HTTP: posting events and demands, the progress of a demand, keys, people."""

from services.intake.api import alertmanager, demands, events, keys, kinds, people
from shared.http.endpoints import Endpoint

endpoints: list[Endpoint] = [
    *events.endpoints,
    *demands.endpoints,
    *alertmanager.endpoints,
    *keys.endpoints,
    *people.endpoints,
    *kinds.endpoints,
]
