"""An engineer's phone: a repair from the first tap to the last, and what is told when a tap fails."""

from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.support.waiting import eventually
from tests.web.conftest import PHONE, SOON_MILLISECONDS, Product, Visit, wait_until_live


async def tap_action(page: Page, case: str, action: str) -> Locator:
    """Press the button of an action; its card."""
    card = page.locator(f"#case-{case}")
    await card.locator(f"form[data-action={action}] button").click()
    return card


async def open_phone(product: Product, visit: Visit, prop: str, **data: Any) -> tuple[Page, dict[str, Any]]:
    """An engineer who has just been given a repair, before the phone."""
    case = await product.raise_and_assign(prop, **data)
    key = await product.issue_key(prop, case["assignee"], "engineer")
    page = await visit(key, "/", PHONE)
    await wait_until_live(page)
    return page, case


async def test_a_repair_is_taken_from_dispatch_to_the_follow_up_by_taps(
    product: Product, visit: Visit
) -> None:
    requester = {"name": "陈女士", "phone": "13800001111"}
    page, case = await open_phone(product, visit, "repair", requester=requester, location={"unit": "1803"})
    card = page.locator(f"#case-{case['id']}")
    await expect(card.locator("a.phone")).to_have_attribute("href", "tel:13800001111")
    await expect(card.locator(".due")).to_contain_text("还有")

    for action, state in (("accept", "已接单"), ("depart", "在途"), ("arrive", "已到场")):
        await tap_action(page, case["id"], action)
        await expect(card.locator(".job-state .tag").first).to_have_text(state)
    await card.locator("form[data-action=wait] summary").click()
    await card.locator("form[data-action=wait] textarea").fill("等配件")
    await tap_action(page, case["id"], "wait")
    await expect(card.locator(".due")).to_have_text("暂停：等配件")
    await tap_action(page, case["id"], "resume")
    await expect(card.locator(".due")).to_contain_text("还有")
    await card.locator("form[data-action=complete] summary").click()
    await card.locator("form[data-action=complete] textarea").fill("已更换阀芯")
    await tap_action(page, case["id"], "complete")
    await expect(card.locator(".job-state .tag").first).to_have_text("已完工")
    await expect(card.locator("form[data-action=inspect]")).to_have_count(0)
    await pass_inspection(product, visit, case)
    await expect(card.locator(".job-state .tag").first).to_have_text("回访中", timeout=SOON_MILLISECONDS)

    done = await product.get_case(case["id"])
    actions = [entry["action"] for entry in done["history"]]
    assert actions == [
        "raise",
        "assign",
        "accept",
        "depart",
        "arrive",
        "wait",
        "resume",
        "complete",
        "inspect",
    ]
    assert {entry["actor"] for entry in done["history"][2:-1]} == {case["assignee"]}
    assert done["history"][-2]["data"] == {"result": "已更换阀芯"}
    assert (done["history"][-1]["actor"], done["history"][-1]["data"]) == ("zhao", {"passed": True})


async def pass_inspection(product: Product, visit: Visit, case: dict[str, Any]) -> None:
    """Whoever may inspect opens the case on a phone and passes it."""
    page = await visit(
        await product.issue_key(case["property"], "zhao", "dispatcher"), f"/cases/{case['id']}", PHONE
    )
    await page.locator("form[data-action=inspect] summary.button").click()
    await page.locator("form[data-action=inspect] label", has_text="是").click()
    await page.locator("form[data-action=inspect] .fields > button").click()
    await expect(page.locator(".notice.good")).to_contain_text("回访中")


async def test_a_job_given_to_somebody_appears_on_their_phone_and_leaves_it(
    product: Product, visit: Visit
) -> None:
    page, case = await open_phone(product, visit, "looks")
    other = "li" if case["assignee"] == "wang" else "wang"
    await expect(page.locator(f"#case-{case['id']}")).to_be_visible()

    await product.perform_action(case["id"], "assign", engineer=other)
    await expect(page.locator(f"#case-{case['id']}")).to_have_count(0, timeout=SOON_MILLISECONDS)
    await expect(page.locator(".empty")).to_be_visible()

    await product.perform_action(case["id"], "assign", engineer=case["assignee"])
    await expect(page.locator(f"#case-{case['id']}")).to_be_visible(timeout=SOON_MILLISECONDS)


async def test_tapping_twice_takes_one_step(product: Product, visit: Visit) -> None:
    page, case = await open_phone(product, visit, "taps")
    twice = """async form => {
        const body = new URLSearchParams(new FormData(form)), headers = {"HX-Request": "true"};
        const asked = {method: "POST", body, headers};
        const send = () => fetch(form.getAttribute("action"), asked).then(answer => answer.status);
        return Promise.all([send(), send()]);
    }"""
    form = page.locator(f"#case-{case['id']} form[data-action=accept]")
    assert await form.evaluate(twice) == [200, 200]

    history = (await product.get_case(case["id"]))["history"]
    assert [entry["action"] for entry in history] == ["raise", "assign", "accept"]


async def test_a_tap_on_what_has_moved_on_is_refused_and_says_how_it_is_now(
    product: Product, visit: Visit
) -> None:
    case = await product.raise_and_assign("stale")
    key = await product.issue_key("stale", case["assignee"], "engineer")
    for language, words in (
        ("zh", "此工单在您查看之后已有变化"),
        ("en", "the case has moved on since you saw it"),
    ):
        page = await visit(key, "/sign-in", PHONE, language=language)
        await page.route("**/v1/cases/stream", lambda route: route.abort())
        await page.goto(f"{product.serving.url}/")
        await product.perform_action(case["id"], "note", text="来自别处")
        card = await tap_action(page, case["id"], "accept")
        await expect(card.locator(".notice.bad")).to_contain_text(words)
    assert (await product.get_case(case["id"]))["state"] == "dispatched"

    await tap_action(page, case["id"], "accept")
    await eventually(lambda: product.get_case(case["id"]), lambda detail: detail["state"] == "accepted")


async def test_a_step_that_is_not_possible_any_more_and_a_missing_field_are_told_by_name(
    product: Product, visit: Visit
) -> None:
    page, case = await open_phone(product, visit, "missing")
    card = page.locator(f"#case-{case['id']}")
    await card.locator("form[data-action=accept] input[name=action]").evaluate("it => it.value = 'arrive'")
    await tap_action(page, case["id"], "accept")
    await expect(card.locator(".notice.bad")).to_contain_text("已派工")

    for action in ("accept", "arrive"):
        await tap_action(page, case["id"], action)
        await expect(card.locator(".notice.good")).to_be_visible()
    await card.locator("form[data-action=wait] summary").click()
    await card.locator("form[data-action=wait] textarea").evaluate("it => it.required = false")
    await tap_action(page, case["id"], "wait")
    await expect(card.locator(".notice.bad")).to_contain_text("此字段必填")
    await expect(card.locator("form[data-action=wait] details")).to_have_attribute("open", "")


async def test_what_is_being_typed_is_not_taken_away_by_a_change_elsewhere(
    product: Product, visit: Visit
) -> None:
    page, case = await open_phone(product, visit, "kin")
    card = page.locator(f"#case-{case['id']}")
    await card.locator("form[data-action=note] summary").click()
    await card.locator("form[data-action=note] textarea").fill("半句话")

    await product.perform_action(case["id"], "note", text="来自别处")

    await expect(card.locator(".stale")).to_be_visible(timeout=SOON_MILLISECONDS)
    await expect(card.locator("form[data-action=note] textarea")).to_have_value("半句话")


async def test_a_tap_without_a_network_says_so_and_the_next_one_counts_once(
    product: Product, visit: Visit
) -> None:
    page, case = await open_phone(product, visit, "offline")
    await page.context.set_offline(True)
    await tap_action(page, case["id"], "accept")
    await expect(page.locator("#toast")).to_contain_text("网络不通")
    await page.context.set_offline(False)

    card = await tap_action(page, case["id"], "accept")

    await expect(card.locator(".job-state .tag").first).to_have_text("已接单")
    history = (await product.get_case(case["id"]))["history"]
    assert [entry["action"] for entry in history] == ["raise", "assign", "accept"]


async def test_without_scripts_the_forms_act_too(product: Product, browser: Browser) -> None:
    case = await product.raise_and_assign("plain")
    context = await browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{product.serving.url}/sign-in?next=/cases/{case['id']}")
    await page.locator("input[name=key]").fill(await product.issue_key("plain", case["assignee"], "engineer"))
    await page.locator("#sign-in button").click()

    await page.locator("form[data-action=accept] button").click()

    await expect(page.locator(".state")).to_have_text("已接单")
    assert (await product.get_case(case["id"]))["state"] == "accepted"
