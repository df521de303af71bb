"""The pages of cases over HTTP: what the page of a case and the board list."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from tests.integration.dispatch.conftest import DispatchDriver


@pytest.fixture
async def pages(dispatch: DispatchDriver) -> AsyncIterator[httpx.AsyncClient]:
    """A dispatcher of `tower` before the pages, in English."""
    app = Starlette(routes=dispatch.service.pages())
    headers = dispatch.headers_for("dispatcher", person="zhao") | {"Accept-Language": "en"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def test_the_page_of_a_case_lists_the_cases_that_are_folded_into_it(
    dispatch: DispatchDriver, pages: httpx.AsyncClient
) -> None:
    parent, child = await dispatch.deliver_demand(), await dispatch.deliver_demand()
    await dispatch.take_action(child, "attach", data={"parent": parent})
    number = (await dispatch.get_case(child))["number"]
    page = await pages.get(f"/cases/{parent}")
    assert page.status_code == 200
    assert "Folded in" in page.text
    assert f'<a href="/cases/{child}">{number}</a>' in page.text


async def test_details_that_only_look_like_those_of_an_inspection_are_shown_as_they_came(
    dispatch: DispatchDriver, pages: httpx.AsyncClient
) -> None:
    details = {"checked": "all", "passed": None}
    case_id = await dispatch.deliver_demand(
        channel="inspection", summary="The hall is dirty", details=details
    )
    for path in ("/?view=all", f"/cases/{case_id}"):
        page = await pages.get(path)
        assert page.status_code == 200
        assert "The hall is dirty" in page.text
