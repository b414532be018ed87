// Forms that need a passkey, and pages that follow what happens. Every rule is the server's.
"use strict";
(() => {
  const { confirmed, enrol, signIn, told } = window.answerable;

  function say(form, error) {
    const place = form.parentElement.querySelector(".fault") ?? form.closest("section").querySelector(".fault");
    if (!place) return;
    place.textContent = error ? told(error) : "";
    place.hidden = !error;
  }

  async function ceremony(form) {
    const value = (name) => form.elements[name].value;
    switch (form.dataset.ceremony) {
      case "sign-in":
        return (await signIn(form.dataset.next)).next;
      case "enrol":
        return (await enrol(value("code").trim(), value("label"))).next;
      case "enrol-own":
        if (form.dataset.fresh !== "yes") await confirmed();
        return (await enrol(null, value("label"))).next;
      case "confirm":
        await confirmed();
        return "back";
    }
  }

  async function busy(form, work) {
    const buttons = form.querySelectorAll("button");
    buttons.forEach((one) => (one.disabled = true));
    say(form, null);
    try {
      await work();
    } catch (error) {
      say(form, error);
    } finally {
      buttons.forEach((one) => (one.disabled = false));
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("form.ceremony")) {
      event.preventDefault();
      busy(form, async () => {
        const next = await ceremony(form);
        if (next === "back") history.back();
        else location.assign(next);
      });
    } else if (form.dataset.fresh === "no") {
      // What matters most wants that its person shows once more who they are.
      event.preventDefault();
      busy(form, async () => {
        await confirmed();
        form.dataset.fresh = "yes";
        form.submit();
      });
    }
  });

  const code = document.getElementById("code");
  if (code && location.hash.length > 1) {
    code.value = decodeURIComponent(location.hash.slice(1));
    // The code stays in no history of the browser.
    history.replaceState(null, "", location.pathname);
    document.getElementById("label").focus();
  }

  const pause = document.querySelector("[data-pause]");
  let paused = false;
  pause?.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) document.body.dispatchEvent(new Event("news"));
  });

  const address = document.body.dataset.news;
  if (address) {
    const stream = new EventSource(address);
    stream.addEventListener("news", () => paused || document.body.dispatchEvent(new Event("news")));
    stream.addEventListener("ended", () => {
      stream.close();
      location.reload();
    });
    addEventListener("pagehide", () => stream.close());
  }
})();
