"""The page for users who have neither phone nor backup codes."""

import pytest

from twofactor.adapter import Adapter
from twofactor.tests.constants import LOGIN, LOST, VERIFY_LOGIN
from twofactor.tests.responses import is_full_page


class ShopAdapter(Adapter):
    def recovery_help(self, request):
        return f"Come to the shop on {request.get_host()}.\n\nBring <b>an ID</b>: https://shop.example/?a=1&b=2"

    def support_email(self):
        return "help@shop.example"


def test_it_needs_no_sign_in_and_names_the_address_of_the_operator(signed_out_client, settings):
    settings.DEFAULT_FROM_EMAIL = '"Acme, support" <care@acme.example>'
    page = signed_out_client.get(LOST)
    assert page.status_code == 200
    assert is_full_page(page)
    assert 'href="mailto:care@acme.example"' in page.content.decode()
    assert page.headers["Cache-Control"].startswith("max-age=0")


def test_the_host_chooses_the_text_and_the_address(signed_out_client, settings):
    settings.TWOFACTOR_ADAPTER = f"{__name__}.ShopAdapter"
    html = signed_out_client.get(LOST).content.decode()
    assert "<p>Come to the shop on testserver.</p>" in html
    assert "<p>Bring &lt;b&gt;an ID&lt;/b&gt;: <a" in html
    assert 'href="https://shop.example/?a=1&amp;b=2"' in html
    assert 'href="mailto:help@shop.example"' in html


@pytest.mark.parametrize("query", ["", "?method=backup"])
def test_the_code_step_and_the_backup_step_link_to_it(pending_client, query):
    assert f'href="{LOST}"' in pending_client.get(f"{VERIFY_LOGIN}{query}").content.decode()


def test_it_leads_back_to_the_pending_sign_in_or_to_a_new_one(pending_client, signed_out_client):
    assert f'href="{VERIFY_LOGIN}?method=backup"' in pending_client.get(LOST).content.decode()
    signed_out_client.cookies.clear()
    page = signed_out_client.get(LOST).content.decode()
    assert f'href="{LOGIN}"' in page
    assert VERIFY_LOGIN not in page


def test_nothing_can_be_posted_to_it(signed_out_client):
    assert signed_out_client.post(LOST).status_code == 405
