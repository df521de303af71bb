"""The dispatcher's screen: what happens is on the board within a second or two, without a reload."""

import httpx
from playwright.async_api import Browser, expect

from tests.support.processes import KEY, Processes, open_client
from tests.support.properties import write_property
from tests.web.conftest import SCREEN, SOON_MILLISECONDS, Product, Visit, wait_until_live


async def test_whoever_follows_the_sign_in_link_sees_a_demand_appear_by_itself(
    product: Product, visit: Visit
) -> None:
    page = await visit(None, product.read_sign_in_link().removeprefix(product.serving.url))
    await page.wait_for_url(f"{product.serving.url}/")
    await wait_until_live(page)
    await page.evaluate("window.before = true")

    name = await product.raise_demand(
        "live", summary="电梯里的灯不亮", location={"floor": "12", "unit": "1201"}
    )

    row = page.locator(f"#case-{name}")
    await expect(row).to_be_visible(timeout=SOON_MILLISECONDS)
    await expect(row).to_contain_text("电梯里的灯不亮")
    await expect(row).to_contain_text("12 层 · 1201")
    await expect(page.locator("tbody[data-group=repair-dispatched]").locator(f"#case-{name}")).to_be_visible()
    assert await page.evaluate("window.before") is True


async def test_a_step_taken_elsewhere_moves_only_its_own_row(product: Product, visit: Visit) -> None:
    moving, staying = [await product.raise_and_assign("moves", summary=text) for text in ("会动", "不动")]
    page = await visit(await product.issue_key("moves", "zhao", "dispatcher"), "/")
    await wait_until_live(page)
    other = page.locator(f"#case-{staying['id']}")
    await other.evaluate("row => row.kept = true")

    await product.perform_action(moving["id"], "accept", actor=moving["assignee"])

    accepted = page.locator("tbody[data-group=repair-accepted]")
    await expect(accepted.locator(f"#case-{moving['id']}")).to_be_visible(timeout=SOON_MILLISECONDS)
    await expect(accepted.locator("[data-count]")).to_have_text("1")
    assert await other.evaluate("row => row.kept") is True


async def test_filters_leave_what_was_asked_for_and_the_rest_stays_away(
    product: Product, visit: Visit
) -> None:
    repair = await product.raise_and_assign("filters", summary="水龙头滴水")
    page = await visit(await product.issue_key("filters", "zhao", "dispatcher"), "/")
    await wait_until_live(page)
    await page.locator("select[name=kind]").select_option("complaint")
    await expect(page.locator(f"#case-{repair['id']}")).to_have_count(0)
    await expect(page.locator(".empty")).to_be_visible()

    other = await product.raise_demand("filters", summary="门锁坏了")
    complaint = await product.raise_demand("filters", kind="complaint", summary="太吵")

    await expect(page.locator(f"#case-{complaint}")).to_be_visible(timeout=SOON_MILLISECONDS)
    await expect(page.locator(f"#case-{other}")).to_have_count(0)
    await page.locator("select[name=kind]").select_option("")
    await page.locator("input[name=q]").fill("水龙头")
    await expect(page.locator("[data-case]")).to_have_count(1)
    assert "q=" in page.url


async def test_a_case_chosen_on_the_board_opens_beside_it_and_can_be_given_away(
    product: Product, visit: Visit
) -> None:
    case = await product.raise_and_assign("kin", summary="空调不制冷")
    other = "li" if case["assignee"] == "wang" else "wang"
    page = await visit(await product.issue_key("kin", "zhao", "dispatcher"), "/")
    await wait_until_live(page)
    await page.locator(f"#case-{case['id']} .summary").click()
    panel = page.locator("#panel")
    await expect(panel).to_contain_text("接下来")

    await panel.locator("form[data-action=assign] summary").first.click()
    await panel.locator("form[data-action=assign] select[name='data.engineer']").select_option(other)
    await panel.locator("form[data-action=assign] button").click()

    await expect(panel.locator(".notice.good")).to_be_visible()
    name = {"wang": "Wang Wei", "li": "Li Na"}[other]
    await expect(page.locator(f"#case-{case['id']}")).to_contain_text(name, timeout=SOON_MILLISECONDS)
    assert (await product.get_case(case["id"]))["assignee"] == other


async def test_what_is_folded_into_a_job_is_counted_on_it_and_found_by_looking(
    product: Product, visit: Visit
) -> None:
    job, report = [
        await product.raise_and_assign("folds", summary=text) for text in ("电梯停了", "等不到电梯")
    ]
    page = await visit(await product.issue_key("folds", "zhao", "dispatcher"), "/")
    await wait_until_live(page)
    await expect(page.locator("[data-total]")).to_have_text("2")

    await product.perform_action(report["id"], "attach", actor="zhao", parent=job["id"])

    await expect(page.locator(f"#case-{report['id']}")).to_have_count(0, timeout=SOON_MILLISECONDS)
    await expect(page.locator(f"#case-{job['id']}")).to_contain_text("含并入 1 件", timeout=SOON_MILLISECONDS)
    await expect(page.locator("[data-total]")).to_have_text("1")
    await page.locator("input[name=q]").fill("等不到电梯")
    await expect(page.locator(f"#case-{report['id']}")).to_be_visible()


async def test_the_board_catches_up_when_the_service_was_away(browser: Browser, processes: Processes) -> None:
    write_property(processes.folder / "properties", "tower")
    serving = processes.start("all")
    page = await (await browser.new_context(viewport=SCREEN, locale="zh-CN")).new_page()
    await page.goto(f"{serving.url}/sign-in")
    await page.locator("input[name=key]").fill(KEY)
    await page.locator("#sign-in button").click()
    await wait_until_live(page)
    await page.evaluate("window.before = true")

    serving.kill()
    await expect(page.locator("[data-live-state=lost]")).to_be_visible(timeout=5000)
    serving.start()
    async with open_client(serving) as http:
        reply = await http.post(
            "/v1/demands", json={"property": "tower", "kind": "repair", "summary": "恢复之后"}
        )
        name = _read_demand(reply)

    await expect(page.locator(f"#case-{name}")).to_be_visible(timeout=10_000)
    await expect(page.locator("[data-live-state=on]")).to_be_visible()
    assert await page.evaluate("window.before") is True


def _read_demand(reply: httpx.Response) -> str:
    assert reply.status_code == 202, reply.text
    return str(reply.json()["demand"])
