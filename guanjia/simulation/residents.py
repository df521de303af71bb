"""Who lives in the simulated tower: 230 invented households with habits, moods and languages."""

from random import Random
from typing import Literal

from msgspec import Struct

from guanjia.simulation.random_streams import random_stream

FLOORS = range(6, 29)
UNITS = 10
Mood = Literal["easy", "plain", "demanding"]
Pays = Literal["early", "in_time", "in_parts", "late", "never"]
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗"
_GIVEN = ("伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "杰", "娟", "涛",
          "秀兰", "晓东", "雨晴", "子涵", "思远", "佳怡", "文博")  # fmt: skip
_FIRST = ("James", "Maria", "Kenji", "Anna", "Oliver", "Sofia", "Lucas", "Emma", "Hana", "Pierre")
_LAST = ("Smith", "Müller", "Tanaka", "Rossi", "Brown", "Garcia", "Nguyen", "Dubois", "Kim", "Novak")


class Household(Struct, frozen=True, kw_only=True):
    """Who lives in a unit. `reached`: how likely somebody answers the telephone."""

    unit: str
    floor: int
    resident: str
    name: str
    phone: str
    language: Literal["zh-CN", "en"]
    tier: Literal["vip"] | None
    role: Literal["owner", "tenant"]
    mood: Mood
    pays: Pays
    reached: float

    def requester(self) -> dict[str, str]:
        """As a demand tells who asks."""
        told = {"id": self.resident, "name": self.name, "phone": self.phone, "language": self.language}
        return told | ({"tier": self.tier} if self.tier else {})


def households(seed: int) -> list[Household]:
    """Everybody who lives there; about one unit in fourteen stands empty."""
    places = [(floor, number) for floor in FLOORS for number in range(1, UNITS + 1)]
    return [
        _household(floor, number, random)
        for floor, number in places
        if (random := random_stream(seed, "unit", floor, number)).random() > 0.07
    ]


def _household(floor: int, number: int, random: Random) -> Household:
    english = random.random() < 0.15
    chinese = random.choice(_SURNAMES) + random.choice(_GIVEN)
    return Household(
        unit=f"{floor:02}{number:02}",
        floor=floor,
        resident=f"r-{floor:02}{number:02}",
        name=f"{random.choice(_FIRST)} {random.choice(_LAST)}" if english else chinese,
        phone=f"000-{floor:02}{number:02}-{random.randrange(10_000):04}",  # no such number is given out
        language="en" if english else "zh-CN",
        tier="vip" if random.random() < 0.06 else None,
        role="tenant" if random.random() < 0.4 else "owner",
        mood=random.choices(("easy", "plain", "demanding"), (50, 40, 10))[0],
        pays=random.choices(("early", "in_time", "in_parts", "late", "never"), (45, 44, 6, 4, 1))[0],
        reached=random.choice((0.95, 0.9, 0.85, 0.6)),
    )
