"""An engineer's phone: a repair from the first tap to the last, and what is told when a tap fails."""

from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.support.waiting import eventually
from tests.web.conftest import PHONE, SOON, House, Visit, live


async def tap(page: Page, case: str, action: str) -> Locator:
    """Press the button of an action; its card."""
    card = page.locator(f"#case-{case}")
    await card.locator(f"form[data-action={action}] button").click()
    return card


async def with_phone(house: House, visit: Visit, prop: str, **rest: Any) -> tuple[Page, dict[str, Any]]:
    """An engineer who has just been given a repair, before the phone."""
    case = await house.dispatched(prop, **rest)
    key = await house.key(prop, case["assignee"], "engineer")
    page = await visit(key, "/", PHONE)
    await live(page)
    return page, case


async def test_a_repair_is_taken_from_dispatch_to_the_follow_up_by_taps(house: House, visit: Visit) -> None:
    requester = {"name": "陈女士", "phone": "13800001111"}
    page, case = await with_phone(house, visit, "repair", requester=requester, location={"unit": "1803"})
    card = page.locator(f"#case-{case['id']}")
    await expect(card.locator("a.phone")).to_have_attribute("href", "tel:13800001111")
    await expect(card.locator(".due")).to_contain_text("还有")

    for action, state in (("accept", "已接单"), ("depart", "在途"), ("arrive", "已到场")):
        await tap(page, case["id"], action)
        await expect(card.locator(".job-state .tag").first).to_have_text(state)
    await card.locator("form[data-action=wait] summary").click()
    await card.locator("form[data-action=wait] textarea").fill("等配件")
    await tap(page, case["id"], "wait")
    await expect(card.locator(".due")).to_have_text("暂停：等配件")
    await tap(page, case["id"], "resume")
    await expect(card.locator(".due")).to_contain_text("还有")
    await card.locator("form[data-action=complete] summary").click()
    await card.locator("form[data-action=complete] textarea").fill("已更换阀芯")
    await tap(page, case["id"], "complete")
    await expect(card.locator(".job-state .tag").first).to_have_text("已完工")
    await expect(card.locator("form[data-action=inspect]")).to_have_count(0)
    await passed_by_the_office(house, visit, case)
    await expect(card.locator(".job-state .tag").first).to_have_text("回访中", timeout=SOON)

    done = await house.case(case["id"])
    taken = [entry["action"] for entry in done["history"]]
    assert taken == ["raise", "assign", "accept", "depart", "arrive", "wait", "resume", "complete", "inspect"]
    assert {entry["actor"] for entry in done["history"][2:-1]} == {case["assignee"]}
    assert done["history"][-2]["data"] == {"result": "已更换阀芯"}
    assert (done["history"][-1]["actor"], done["history"][-1]["data"]) == ("zhao", {"passed": True})


async def passed_by_the_office(house: House, visit: Visit, case: dict[str, Any]) -> None:
    """Whoever may inspect opens the case on a phone and passes it."""
    page = await visit(await house.key(case["property"], "zhao", "dispatcher"), f"/cases/{case['id']}", PHONE)
    await page.locator("form[data-action=inspect] summary.button").click()
    await page.locator("form[data-action=inspect] label", has_text="是").click()
    await page.locator("form[data-action=inspect] .fields > button").click()
    await expect(page.locator(".notice.good")).to_contain_text("回访中")


async def test_a_job_given_to_somebody_appears_on_their_phone_and_leaves_it(
    house: House, visit: Visit
) -> None:
    page, case = await with_phone(house, visit, "looks")
    other = "li" if case["assignee"] == "wang" else "wang"
    await expect(page.locator(f"#case-{case['id']}")).to_be_visible()

    await house.act(case["id"], "assign", engineer=other)
    await expect(page.locator(f"#case-{case['id']}")).to_have_count(0, timeout=SOON)
    await expect(page.locator(".empty")).to_be_visible()

    await house.act(case["id"], "assign", engineer=case["assignee"])
    await expect(page.locator(f"#case-{case['id']}")).to_be_visible(timeout=SOON)


async def test_tapping_twice_takes_one_step(house: House, visit: Visit) -> None:
    page, case = await with_phone(house, visit, "taps")
    twice = """async form => {
        const body = new URLSearchParams(new FormData(form)), headers = {"HX-Request": "true"};
        const asked = {method: "POST", body, headers};
        const send = () => fetch(form.getAttribute("action"), asked).then(answer => answer.status);
        return Promise.all([send(), send()]);
    }"""
    form = page.locator(f"#case-{case['id']} form[data-action=accept]")
    assert await form.evaluate(twice) == [200, 200]

    history = (await house.case(case["id"]))["history"]
    assert [entry["action"] for entry in history] == ["raise", "assign", "accept"]


async def test_a_tap_on_what_has_moved_on_is_refused_and_says_how_it_is_now(
    house: House, visit: Visit
) -> None:
    case = await house.dispatched("stale")
    key = await house.key("stale", case["assignee"], "engineer")
    for language, words in (
        ("zh", "此工单在您查看之后已有变化"),
        ("en", "the case has moved on since you saw it"),
    ):
        page = await visit(key, "/sign-in", PHONE, language=language)
        await page.route("**/v1/cases/stream", lambda route: route.abort())
        await page.goto(f"{house.serving.url}/")
        await house.act(case["id"], "note", text="来自别处")
        card = await tap(page, case["id"], "accept")
        await expect(card.locator(".notice.bad")).to_contain_text(words)
    assert (await house.case(case["id"]))["state"] == "dispatched"

    await tap(page, case["id"], "accept")
    await eventually(lambda: house.case(case["id"]), lambda found: found["state"] == "accepted")


async def test_a_step_that_is_not_possible_any_more_and_a_missing_field_are_told_by_name(
    house: House, visit: Visit
) -> None:
    page, case = await with_phone(house, visit, "missing")
    card = page.locator(f"#case-{case['id']}")
    await card.locator("form[data-action=accept] input[name=action]").evaluate("it => it.value = 'arrive'")
    await tap(page, case["id"], "accept")
    await expect(card.locator(".notice.bad")).to_contain_text("已派工")

    for action in ("accept", "arrive"):
        await tap(page, case["id"], action)
        await expect(card.locator(".notice.good")).to_be_visible()
    await card.locator("form[data-action=wait] summary").click()
    await card.locator("form[data-action=wait] textarea").evaluate("it => it.required = false")
    await tap(page, case["id"], "wait")
    await expect(card.locator(".notice.bad")).to_contain_text("此字段必填")
    await expect(card.locator("form[data-action=wait] details")).to_have_attribute("open", "")


async def test_what_is_being_typed_is_not_taken_away_by_a_change_elsewhere(
    house: House, visit: Visit
) -> None:
    page, case = await with_phone(house, visit, "kin")
    card = page.locator(f"#case-{case['id']}")
    await card.locator("form[data-action=note] summary").click()
    await card.locator("form[data-action=note] textarea").fill("半句话")

    await house.act(case["id"], "note", text="来自别处")

    await expect(card.locator(".stale")).to_be_visible(timeout=SOON)
    await expect(card.locator("form[data-action=note] textarea")).to_have_value("半句话")


async def test_a_tap_without_a_network_says_so_and_the_next_one_counts_once(
    house: House, visit: Visit
) -> None:
    page, case = await with_phone(house, visit, "offline")
    await page.context.set_offline(True)
    await tap(page, case["id"], "accept")
    await expect(page.locator("#toast")).to_contain_text("网络不通")
    await page.context.set_offline(False)

    card = await tap(page, case["id"], "accept")

    await expect(card.locator(".job-state .tag").first).to_have_text("已接单")
    history = (await house.case(case["id"]))["history"]
    assert [entry["action"] for entry in history] == ["raise", "assign", "accept"]


async def test_without_scripts_the_forms_act_too(house: House, browser: Browser) -> None:
    case = await house.dispatched("plain")
    context = await browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{house.serving.url}/sign-in?next=/cases/{case['id']}")
    await page.locator("input[name=key]").fill(await house.key("plain", case["assignee"], "engineer"))
    await page.locator("#sign-in button").click()

    await page.locator("form[data-action=accept] button").click()

    await expect(page.locator(".state")).to_have_text("已接单")
    assert (await house.case(case["id"]))["state"] == "accepted"
