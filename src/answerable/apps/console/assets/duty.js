// Delegate duty: the device signs the terms that the server derives from the form. The server enforces every rule.
"use strict";
(() => {
  const { assertion, post, told } = window.answerable;

  async function handOn(form) {
    const value = (name) => form.elements[name].value.trim();
    const wanted = { group: value("group"), to: value("to"), hours: Number(value("hours")), reason: value("reason") };
    const { claims, nonce, options } = await post("/duty/open", wanted, true);
    await post("/duty/give", { claims, nonce, assertion: await assertion(options) }, true);
    location.assign("/duty");
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form.duty")) return;
    event.preventDefault();
    const fault = form.parentElement.querySelector(".fault");
    const button = form.querySelector("button");
    button.disabled = true;
    fault.hidden = true;
    try {
      await handOn(form);
    } catch (error) {
      fault.textContent = told(error);
      fault.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
})();
