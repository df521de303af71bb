"""Which floors and units of a building are served, and where everything else is passed on to."""

from msgspec import Struct

from shared.messages.facts import Location
from shared.properties.values import Floors, floor_number


class ExcludedArea(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Floors or units that somebody else serves, and who that is."""

    floors: Floors = Floors()
    """楼层: the floors that somebody else serves. Example: `"1-5"`"""
    units: list[str] = []
    """单元: the units that somebody else serves. Example: `["301", "302"]`"""
    pass_on_to: str
    """转交: who serves them; is told to whoever reports something there. Example: `"商业中心管理处"`"""
    pass_on_to_en: str = ""
    """转交（英文）: the same in English; left out, `pass_on_to`. Example: `"the office of the commercial
    centre"`"""


class ScopeDecision(Struct, frozen=True):
    """Whether a location is served; where it is not, why, and who serves it."""

    served: bool
    reason: str = ""
    reason_en: str = ""
    pass_on_to: str = ""
    pass_on_to_en: str = ""

    def __bool__(self) -> bool:
        return self.served


SERVED = ScopeDecision(True)
OUTSIDE = ScopeDecision(False, "该位置不在本物业服务范围内", "This place is outside the served scope")


class Scope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The served floors and units; an empty list means all of them."""

    floors: Floors = Floors()
    """楼层: the served floors; left out, every floor. Example: `"B2-B1, 6-28"`"""
    units: list[str] = []
    """单元: the served units; left out, every unit. Example: `["1203", "1204"]`"""
    excluded: list[ExcludedArea] = []
    """除外: floors and units within these that others serve."""

    def decide(self, location: Location | None) -> ScopeDecision:
        """Whether `location` is served; so is one without floor and unit, which people have to look at."""
        floor = floor_number(location.floor) if location else None
        unit = location.unit if location else None
        for area in self.excluded:
            if (floor is not None and area.floors.contains(floor)) or unit in area.units:
                return make_refusal(area)
        if floor is not None and self.floors and not self.floors.contains(floor):
            return OUTSIDE
        return OUTSIDE if unit is not None and self.units and unit not in self.units else SERVED


def make_refusal(area: ExcludedArea) -> ScopeDecision:
    """The decision that says who serves `area` instead."""
    english = area.pass_on_to_en or area.pass_on_to
    return ScopeDecision(
        False,
        f"该位置不在本物业服务范围内，请转：{area.pass_on_to}",
        f"This place is outside the served scope; please turn to: {english}",
        area.pass_on_to,
        english,
    )
