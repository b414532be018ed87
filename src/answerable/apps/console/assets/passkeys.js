// Run passkey ceremonies and submit the forms that need one. Nothing is decided here: the server enforces every rule.
// Read before the page shows a button: an earlier press would be lost.
"use strict";
(() => {
  const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const token = () => document.querySelector('meta[name="csrf"]')?.content;

  async function post(path, body, signedIn) {
    const headers = { "content-type": "application/json" };
    if (signedIn) headers["x-csrf-token"] = token() ?? "";
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), redirect: "error" });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message);
    return said;
  }

  const described = (list) => list.map((one) => ({ ...one, id: octets(one.id) }));

  async function assertion(options) {
    const publicKey = { ...options, challenge: octets(options.challenge), allowCredentials: described(options.allowCredentials) };
    const made = await navigator.credentials.get({ publicKey });
    return {
      credential_id: text(made.rawId),
      client_data: text(made.response.clientDataJSON),
      authenticator_data: text(made.response.authenticatorData),
      signature: text(made.response.signature),
    };
  }

  async function signIn(next) {
    const begun = await post("/sign-in/begin", {});
    return post("/sign-in/finish", { ceremony: begun.ceremony, assertion: await assertion(begun.options), next });
  }

  async function confirmed() {
    const begun = await post("/confirm/begin", {}, true);
    await post("/confirm/finish", { ceremony: begun.ceremony, assertion: await assertion(begun.options) }, true);
  }

  async function enrol(code, label) {
    const begun = await post("/enrol/begin", code === null ? {} : { code }, code === null);
    const options = begun.options;
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: octets(options.challenge),
        user: { ...options.user, id: octets(options.user.id) },
        excludeCredentials: described(options.excludeCredentials),
      },
    });
    const registration = {
      credential_id: text(made.rawId),
      client_data: text(made.response.clientDataJSON),
      attestation: text(made.response.attestationObject),
      transports: made.response.getTransports ? made.response.getTransports() : [],
    };
    return post("/enrol/finish", { ceremony: begun.ceremony, registration, label }, code === null);
  }

  const told = (error) =>
    error.name === "NotAllowedError" ? "The device did not answer, or the request was cancelled." : error.message;

  window.answerable = { assertion, confirmed, enrol, post, signIn, told };

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

  // Return the narrower proposal: new numbers, and the indexes of the list items that stay.
  function less(form) {
    const found = {};
    for (const one of form.querySelectorAll("[data-less]")) if (one.value !== "") found[one.dataset.less] = Number(one.value);
    const lists = new Set([...form.querySelectorAll("[data-keep]:not(:checked)")].map((one) => one.dataset.keep));
    for (const name of lists)
      found[name] = [...form.querySelectorAll("[data-keep]:checked")]
        .filter((one) => one.dataset.keep === name)
        .map((one) => Number(one.value));
    return found;
  }

  async function answer(form, pressed) {
    const verdict = pressed.value;
    const value = (name) => form.elements[name]?.value.trim() ?? "";
    const typed = form.elements.typed;
    const runs = verdict !== "deny" && typed;
    if (runs && value("typed").normalize("NFC") !== typed.dataset.must.normalize("NFC")) {
      typed.focus();
      throw new Error(`Type ${typed.dataset.must} to let it run, letter for letter.`);
    }
    const path = `/approvals/${encodeURIComponent(form.dataset.approval)}`;
    const glass = form.elements.glass;
    if (verdict === "break_glass" && value("glass").length < Number(glass.dataset.least)) {
      glass.focus();
      throw new Error(`Say why in at least ${glass.dataset.least} characters.`);
    }
    // Read the words once, before signing: text typed meanwhile is not part of the answer.
    const said = { verdict, comment: value(verdict === "break_glass" ? "glass" : "comment") };
    if (verdict === "deny") said.reason = pressed.dataset.reason ?? "";
    if (said.reason === "narrower") said.narrower = less(form);
    if (runs && !form.dataset.group) said.typed = value("typed");
    if (form.dataset.group) return window.answerable.answerMany(said);
    const opened = await post(`${path}/open`, { ...said, rendering: form.dataset.rendering }, true);
    const signed = await assertion(opened.options);
    await post(`${path}/answer`, { ...said, nonce: opened.nonce, assertion: signed }, true);
    location.reload();
  }

  async function review(form, verdict) {
    const path = `/approvals/${encodeURIComponent(form.dataset.approval)}/review`;
    const comment = form.elements.found.value.trim();
    const opened = await post(`${path}/open`, { verdict, comment }, true);
    const signed = await assertion(opened.options);
    await post(path, { verdict, comment, nonce: opened.nonce, assertion: signed }, true);
    location.reload();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("form.review")) {
      event.preventDefault();
      busy(form, () => review(form, event.submitter.value));
      return;
    }
    if (form.matches("form.answer")) {
      event.preventDefault();
      busy(form, () => answer(form, event.submitter));
      return;
    }
    if (form.matches("form.ceremony")) {
      event.preventDefault();
      busy(form, async () => {
        const next = await ceremony(form);
        if (next === "back") history.back();
        else location.assign(next);
      });
    } else if (form.dataset.fresh === "no") {
      // The most sensitive changes require a recent verification of the person.
      event.preventDefault();
      busy(form, async () => {
        await confirmed();
        form.dataset.fresh = "yes";
        form.submit();
      });
    }
  });
})();
