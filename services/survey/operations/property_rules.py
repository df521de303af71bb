"""The rules of the property that a follow-up belongs to."""

from zoneinfo import ZoneInfo

from shared.host import Host
from shared.properties.property import FollowUpRules

SOURCE = "guanjia/survey"
"""The source of survey's own events."""


def get_property_rules(host: Host, property_id: str) -> tuple[FollowUpRules, ZoneInfo]:
    """The property's rules and time zone; the built-in ones where it is no longer configured."""
    prop = host.properties.get(property_id)
    return (prop.follow_up, prop.timezone) if prop else (FollowUpRules(), ZoneInfo("UTC"))
