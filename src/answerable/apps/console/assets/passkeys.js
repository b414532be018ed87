// Run passkey ceremonies on the device and send the results to the server. Nothing is decided here.
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
})();
