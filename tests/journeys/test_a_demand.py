"""One demand followed through, from the resident's words to the moving gauge, as its users meet it."""

from tests.journeys.story import Story
from tests.support.waiting import eventually


async def test_a_leak_is_mended_followed_up_and_counted_and_a_bad_word_opens_rework(story: Story) -> None:
    # A resident reports a leak; an engineer is assigned by the system itself.
    leak = await story.raise_demand(
        kind="repair", summary="1203 厨房漏水", subject="water", priority="high",
        location={"floor": 12, "unit": "1203"},
        requester={"id": "r-1", "name": "王丽", "phone": "13800001111", "language": "zh-CN"},
    )  # fmt: skip
    case = await story.wait_for_state(leak, "dispatched")
    engineer = case["assignee"]
    assert engineer in ("wang", "li")
    assert [d["clock"] for d in case["deadlines"]] == ["respond", "arrive", "complete"]

    # The engineer accepts, travels, waits for a part, and finishes; the wait is on the ledger.
    for action in ("accept", "depart", "arrive"):
        await story.perform_action(leak, action, actor=engineer)
    await story.perform_action(leak, "wait", actor=engineer, reason="parts")
    for action in ("resume", "complete"):
        await story.perform_action(leak, action, actor=engineer)
    await story.perform_action(leak, "close", status=409)  # not before it was inspected and followed up
    await story.perform_action(leak, "inspect", actor="zhao", passed=True)
    await story.wait_for_rate("repair_timeliness", "1", "1")
    await story.wait_for_rate("repair_pass", "1", "1")

    # The follow-up: not by the engineer; the resident is dissatisfied, so the case closes and a rework opens.
    follow_up = await story.wait_for_follow_up(leak)
    own = {"outcome": "no_answer", "channel": "phone", "actor": engineer}
    await story.call("survey", "POST", f"/v1/followups/{follow_up['id']}/attempts", 403, json=own)
    await story.record_answer(follow_up["id"], "call-1", rating=2, expected=4, perceived=2, reason="service")
    closed = await eventually(lambda: story.get_case(leak), lambda case_detail: bool(case_detail["reworks"]))
    assert closed["state"] == "closed"
    rework = await story.wait_for_state(closed["reworks"][0], "dispatched")
    assert rework["rework_of"] == leak
    assert rework["assignee"] not in (engineer, None)
    await story.wait_for_rate("repair_satisfaction", "0", "1")

    # The same call reported again changes nothing; then the resident thinks better of it.
    await story.record_answer(follow_up["id"], "call-1", rating=2, expected=4, perceived=2, reason="service")
    await story.record_answer(follow_up["id"], "call-2", rating=5)
    await story.wait_for_rate("repair_satisfaction", "1", "1")
    assert len((await story.get_case(leak))["reworks"]) == 1
    labels = f'kpi="repair_satisfaction",property="{story.property}",window="month"'
    met = f"guanjia_kpi_target_met{{{labels}}} 1.0"
    await eventually(lambda: story.read_gauge("guanjia_kpi_target_met"), lambda lines: met in lines)


async def test_a_complaint_is_not_waved_away_by_one_signature(story: Story) -> None:
    await story.post_fact("guanjia.property.occupancy.v1", "o-1", occupied_units=200)
    noise = await story.raise_demand(kind="complaint", summary="楼上施工噪音", line="security")
    await story.perform_action(noise, "register", actor="zhao")
    await story.perform_action(noise, "judge", 422, actor="zhao", valid=False)  # a reason is owed
    await story.perform_action(
        noise, "judge", actor="zhao", valid=False, verdict="not_valid", reason="夜间无施工"
    )
    await story.perform_action(noise, "agree", 409, actor="zhao")
    await story.perform_action(noise, "countersign", 403, actor="zhao")  # not by the judge
    # The resident appeals; somebody else must judge, and finds it valid.
    await story.perform_action(noise, "appeal", actor="li")
    await story.perform_action(noise, "judge", 403, actor="zhao", valid=True)
    await story.perform_action(noise, "judge", actor="qian", valid=True)
    await story.wait_for_rate("valid_complaint", "1", "200")
    await story.perform_action(noise, "assign", engineer="wang")
    await story.perform_action(noise, "handle", actor="wang")
    await story.perform_action(noise, "propose", actor="wang", resolution="与施工方约定工时")
    refused = await story.perform_action(noise, "refuse", actor="qian")
    assert (refused["state"], refused["level"]) == ("handling", 1)
    await story.perform_action(noise, "propose", actor="wang", resolution="夜间禁止施工并巡查")
    await story.perform_action(noise, "agree", actor="qian")
    follow_up = await story.wait_for_follow_up(noise)
    assert follow_up["line"] == "security"
    await story.record_answer(follow_up["id"], "call", rating=4)
    await story.wait_for_state(noise, "closed")
    await story.wait_for_rate("security_satisfaction", "1", "1")


async def test_a_valid_complaint_is_overturned_only_by_an_appeal_and_two_signatures(story: Story) -> None:
    await story.post_fact("guanjia.property.occupancy.v1", "o-1", occupied_units=50)
    late = await story.raise_demand(kind="complaint", summary="保洁来得太早", line="cleaning")
    await story.perform_action(late, "register", actor="zhao")
    await story.perform_action(late, "judge", actor="zhao", valid=True)
    await story.wait_for_rate("valid_complaint", "1", "50")
    await story.perform_action(late, "appeal", actor="li")
    await story.perform_action(
        late, "judge", actor="qian", valid=False, verdict="not_valid", reason="在约定时间内"
    )
    # One signature overturns nothing: what is judged after it is counted beside it.
    other = await story.raise_demand(kind="complaint", summary="电梯间有异味", line="cleaning")
    await story.perform_action(other, "register", actor="zhao")
    await story.perform_action(other, "judge", actor="zhao", valid=True)
    await story.wait_for_rate("valid_complaint", "2", "50")
    await story.perform_action(late, "countersign", actor="zhao")
    await story.wait_for_rate("valid_complaint", "1", "50")


async def test_nobody_is_admitted_without_the_owners_consent(story: Story) -> None:
    guest = await story.raise_demand(kind="visitor", summary="访客来访", requester={"id": "r-9"})
    await story.perform_action(guest, "admit", 409, actor="zhao")
    await story.perform_action(guest, "consent", actor="zhao", owner="1203 业主")
    await story.perform_action(guest, "revoke", actor="zhao")
    await story.perform_action(guest, "admit", 409, actor="zhao")
    await story.perform_action(guest, "consent", actor="zhao", owner="1203 业主")
    await story.perform_action(guest, "admit", actor="zhao")
    departed = await story.perform_action(guest, "leave", actor="zhao")
    assert departed["state"] == "following_up"


async def test_an_alarm_opens_a_repair_and_the_all_clear_is_told_to_it(story: Story) -> None:
    await story.post_fact(
        "guanjia.equipment.registered.v1", "e-1", equipment="lift-3", system="elevator", critical=True
    )
    await story.post_fact("guanjia.equipment.state.v1", "e-2", equipment="lift-3", state="faulty", alarm=True)
    await story.post_fact("guanjia.equipment.state.v1", "e-2", equipment="lift-3", state="faulty", alarm=True)
    path = f"/v1/cases?property={story.property}&kind=repair&open=true"
    page = await eventually(lambda: story.call("dispatch", "GET", path), lambda page: bool(page["items"]))
    assert len(page["items"]) == 1
    repair = page["items"][0]["id"]
    await story.post_fact("guanjia.equipment.state.v1", "e-3", equipment="lift-3", state="intact")
    repair_detail = await eventually(
        lambda: story.get_case(repair), lambda case: any(e["action"] == "all_clear" for e in case["history"])
    )
    assert repair_detail["open"]
