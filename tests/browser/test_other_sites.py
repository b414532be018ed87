"""What a page of another site gets out of a signed-in person's browser: nothing."""

from __future__ import annotations

import httpx2
import pytest
from playwright.async_api import expect

from answerable.core.ledger.tags import Tag
from tests.browser.console_world import console
from tests.browser.other_site import other_site

pytestmark = pytest.mark.anyio

FRAME = '<iframe id="f" src="{origin}/" width="600" height="400"></iframe>'
FORM = """
<form id="f" method="post" action="{origin}/stop">
<input name="kind" value="everything"><input name="name" value=""><input name="csrf" value="x"></form>
<script>document.getElementById("f").submit()</script>
"""
ASKS = """
<script>
window.told = [];
async function ask(how) {{
  try {{
    const answer = await fetch("{origin}/" + how.path, {{ credentials: "include", ...how.options }});
    window.told.push(answer.status + ":" + (await answer.text()).length);
  }} catch (error) {{ window.told.push("refused"); }}
}}
(async () => {{
  await ask({{ path: "agents", options: {{}} }});
  const headers = {{ "content-type": "application/json" }};
  await ask({{ path: "sign-in/begin", options: {{ method: "POST", headers, body: "{{}}" }} }});
  window.done = true;
}})();
</script>
"""
SIGN = """
() => navigator.credentials.get({{ publicKey: {{
  challenge: Uint8Array.from(atob("{challenge}"), c => c.charCodeAt(0)), rpId: "localhost",
  userVerification: "required", allowCredentials: [] }} }}).then(made => {{
    const plain = b => btoa(String.fromCharCode(...new Uint8Array(b)));
    const text = b => plain(b).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
    return {{ credential_id: text(made.rawId), client_data: text(made.response.clientDataJSON),
      authenticator_data: text(made.response.authenticatorData), signature: text(made.response.signature) }};
  }})
"""


@pytest.mark.requirement("BROWSER-01")
async def test_another_site_neither_frames_the_console_nor_reads_nor_changes_anything(tmp_path, browser):
    async with console(browser, tmp_path) as box, box.person() as ada:
        await ada.enrol(box.invited("ada"))
        pages = {
            path: page.format(origin=box.origin)
            for path, page in (("/frame", FRAME), ("/form", FORM), ("/asks", ASKS))
        }
        # A name of its own, and the console's own name on another port, which is the same site to a browser.
        for host in ("127.0.0.1", "localhost"):
            with other_site(pages, host=host) as evil:
                await ada.page.goto(evil + "/frame")
                await ada.page.wait_for_timeout(1_500)
                framed = [one for one in ada.page.frames if one != ada.page.main_frame]
                shown = [await one.locator("text=Overview").count() for one in framed]
                assert (len(shown), any(shown)) == (1, False), host
                await ada.page.goto(evil + "/form")
                await expect(ada.page.get_by_text("did not come from a page of this console")).to_be_visible()
                await ada.page.goto(evil + "/asks")
                await ada.page.wait_for_function("window.done")
                assert await ada.page.evaluate("window.told") == ["refused", "refused"], host
        await ada.go("/")
        await expect(ada.page.get_by_role("heading", name="Overview")).to_be_visible()
        assert box.home.command("hold", "list", "--json").strip() == "[]"


@pytest.mark.requirement("BROWSER-02")
async def test_what_a_passkey_signs_at_another_page_of_this_machine_opens_nothing(tmp_path, browser):
    async with console(browser, tmp_path) as box, box.person() as ada:
        await ada.enrol(box.invited("ada"))
        await ada.sign_out()
        with other_site({"/": "<p>prizes</p>"}, host="localhost") as evil:
            # The other page gets a challenge through its own server, as whoever phishes would.
            async with httpx2.AsyncClient(base_url=box.origin, headers={"origin": box.origin}) as http:
                begun = (await http.post("/sign-in/begin", json={})).json()
                await ada.page.goto(evil + "/")
                challenge = begun["options"]["challenge"].replace("-", "+").replace("_", "/") + "="
                signed = await ada.page.evaluate(SIGN.format(challenge=challenge))
                answer = await http.post(
                    "/sign-in/finish", json={"ceremony": begun["ceremony"], "assertion": signed, "next": "/"}
                )
                assert (answer.status_code, answer.json()["code"]) == (401, "passkey.origin")
                assert "set-cookie" not in answer.headers
        with other_site({"/": "<p>prizes</p>"}) as evil:
            await ada.page.goto(evil + "/")
            with pytest.raises(Exception, match=r"SecurityError|relying party"):
                await ada.page.evaluate(SIGN.format(challenge=challenge))


@pytest.mark.requirement("BROWSER-03")
async def test_a_device_that_does_not_know_its_person_signs_nobody_in(tmp_path, browser):
    async with console(browser, tmp_path) as box, box.person() as ada, box.person() as bela:
        await ada.enrol(box.invited("ada"))
        await ada.sign_out()
        await ada.verified(False)
        await ada.page.get_by_role("button", name="Sign in with a passkey").click()
        await expect(ada.page.get_by_role("alert")).to_contain_text("did not answer")
        await ada.verified(True)
        await ada.sign_in()
        # An invitation that was used, and somebody without a passkey.
        used = box.invited("bela")
        await bela.enrol(used, "Bela's key")
        await bela.sign_out()
        await ada.sign_out()
        await ada.page.goto(used)
        await ada.page.get_by_role("button", name="Make the passkey").click()
        await expect(ada.page.get_by_role("alert")).to_contain_text("ask for a new one")
    assert not box.home.entries(Tag.HOLD_PLACED)
