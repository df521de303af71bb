"""Who lives in the simulated tower: 230 invented households with habits, temperaments and languages."""

from random import Random
from typing import Literal

from msgspec import Struct

from guanjia.simulation.random_streams import random_stream

FLOORS = range(6, 29)
UNITS_PER_FLOOR = 10
Temperament = Literal["easy", "plain", "demanding"]
PaymentHabit = Literal["early", "in_time", "in_parts", "late", "never"]
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗"
_GIVEN_NAMES = ("伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "杰", "娟", "涛",
          "秀兰", "晓东", "雨晴", "子涵", "思远", "佳怡", "文博")  # fmt: skip
_ENGLISH_GIVEN_NAMES = (
    "James",
    "Maria",
    "Kenji",
    "Anna",
    "Oliver",
    "Sofia",
    "Lucas",
    "Emma",
    "Hana",
    "Pierre",
)
_ENGLISH_SURNAMES = (
    "Smith",
    "Müller",
    "Tanaka",
    "Rossi",
    "Brown",
    "Garcia",
    "Nguyen",
    "Dubois",
    "Kim",
    "Novak",
)


class Household(Struct, frozen=True, kw_only=True):
    """Who lives in a unit. `reachability`: how likely somebody answers the telephone."""

    unit: str
    floor: int
    resident: str
    name: str
    phone: str
    language: Literal["zh-CN", "en"]
    tier: Literal["vip"] | None
    role: Literal["owner", "tenant"]
    temperament: Temperament
    payment_habit: PaymentHabit
    reachability: float

    def requester(self) -> dict[str, str]:
        """Who asks, as a demand says it."""
        fields = {"id": self.resident, "name": self.name, "phone": self.phone, "language": self.language}
        return fields | ({"tier": self.tier} if self.tier else {})


def draw_households(seed: int) -> list[Household]:
    """Everybody who lives there; about one unit in fourteen stands empty."""
    units = [(floor, number) for floor in FLOORS for number in range(1, UNITS_PER_FLOOR + 1)]
    return [
        _draw_household(floor, number, random)
        for floor, number in units
        if (random := random_stream(seed, "unit", floor, number)).random() > 0.07
    ]


def _draw_household(floor: int, number: int, random: Random) -> Household:
    english = random.random() < 0.15
    chinese_name = random.choice(_SURNAMES) + random.choice(_GIVEN_NAMES)
    return Household(
        unit=f"{floor:02}{number:02}",
        floor=floor,
        resident=f"r-{floor:02}{number:02}",
        name=f"{random.choice(_ENGLISH_GIVEN_NAMES)} {random.choice(_ENGLISH_SURNAMES)}"
        if english
        else chinese_name,
        phone=f"000-{floor:02}{number:02}-{random.randrange(10_000):04}",  # no such number is given out
        language="en" if english else "zh-CN",
        tier="vip" if random.random() < 0.06 else None,
        role="tenant" if random.random() < 0.4 else "owner",
        temperament=random.choices(("easy", "plain", "demanding"), (50, 40, 10))[0],
        payment_habit=random.choices(("early", "in_time", "in_parts", "late", "never"), (45, 44, 6, 4, 1))[0],
        reachability=random.choice((0.95, 0.9, 0.85, 0.6)),
    )
