"""What an attempt at a follow-up comes to: nobody answers, the resident declines, or says how it was."""

from random import Random

from guanjia.simulation.case_tracker import TrackedCase
from guanjia.simulation.facts import draw_rating
from guanjia.simulation.texts import COMMENTS

NO_ANSWER: dict[str, object] = {"outcome": "no_answer", "channel": "phone"}
DECLINED: dict[str, object] = {"outcome": "declined", "channel": "phone"}


def draw_attempt(case: TrackedCase, random: Random, correcting: bool) -> dict[str, object]:
    """The body of the attempt; `correcting`: the resident has answered before and thinks better of it."""
    household, draw = case.household, random.random()
    if not correcting and draw > (household.reachability if household else 0.98):
        return NO_ANSWER
    if not correcting and draw < 0.02:
        return DECLINED
    return {"outcome": "answered", "channel": "phone", "answer": _draw_answer(case, random)}


def _draw_answer(case: TrackedCase, random: Random) -> dict[str, object]:
    household = case.household
    stars = 5 if household is None else draw_rating(household, random, disappointing=case.was_disappointing)
    expected = random.choice((3, 4, 4, 5))
    answer: dict[str, object] = {"rating": stars, "expected": expected, "perceived": stars}
    answer["surprised"] = stars == 5 and random.random() < 0.3
    if stars <= 2:
        answer["reason"] = random.choices(("service", "product", "price", "other"), (68, 14, 9, 9))[0]
    if random.random() < 0.5:
        answer["comment"] = COMMENTS[stars][household is not None and household.language == "en"]
    return answer
