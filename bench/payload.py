"""What every contender is given: a demand of some 600 bytes. Standard library only: the peers use it too."""

import json
from typing import Any

MARK = "%NUMBER%"


def demand(number: int | str) -> dict[str, Any]:
    """The demand of that number, as `POST /v1/demands` takes it."""
    return {
        "property": "tower",
        "kind": "repair",
        "summary": f"厨房水管漏水 {number}",
        "description": "水从水槽下方渗出，" * 9,
        "subject": "water",
        "priority": "normal",
        "channel": "app",
        "reference": f"REQ-{number}",
        "location": {"floor": 12, "unit": "1203"},
        "requester": {"id": f"r-{number}", "name": "Resident", "phone": "13800000000", "language": "zh-CN"},
    }


def demand_json(number: int | str) -> str:
    """The same as JSON."""
    return json.dumps(demand(number), ensure_ascii=False, separators=(",", ":"))


def event_json(number: int | str) -> str:
    """The same as a CloudEvent."""
    event = {
        "specversion": "1.0",
        "id": f"demand-{number}",
        "source": "bench/app",
        "type": "guanjia.demand.raised.v1",
        "data": demand(number),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
