// Subscribe this browser to push notifications: ask the person, then send the subscription to the server.
"use strict";
(() => {
  const { confirmed, post, told } = window.answerable;
  const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function worker() {
    // This policy allows only the console's own script address.
    const ours = "/worker.js";
    const policy = window.trustedTypes?.createPolicy("answerable-worker", { createScriptURL: () => ours });
    return policy ? policy.createScriptURL(ours) : ours;
  }

  async function subscribed(form) {
    if (!("serviceWorker" in navigator) || !("PushManager" in window))
      throw new Error("This browser cannot receive notifications. On an iPhone or iPad, add this page to the home screen first.");
    if (form.dataset.fresh !== "yes") {
      await confirmed();
      form.dataset.fresh = "yes";
    }
    if ((await Notification.requestPermission()) !== "granted")
      throw new Error("The browser blocks notifications from this page: allow them in its settings.");
    const { key } = await post("/devices/begin", {}, true);
    const registration = await navigator.serviceWorker.register(worker(), { scope: "/" });
    await navigator.serviceWorker.ready;
    const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: octets(key) });
    await post(
      "/devices/add",
      {
        endpoint: made.endpoint,
        key: text(made.getKey("p256dh")),
        secret: text(made.getKey("auth")),
        label: form.elements.label.value.trim(),
      },
      true,
    );
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form.device")) return;
    event.preventDefault();
    const fault = form.parentElement.querySelector(".fault");
    const button = form.querySelector("button");
    button.disabled = true;
    fault.hidden = true;
    try {
      await subscribed(form);
      location.reload();
    } catch (error) {
      fault.textContent = told(error);
      fault.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
})();
