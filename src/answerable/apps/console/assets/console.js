// Take an invitation's code, move the focus by keys, and refresh pages on news.
"use strict";
(() => {
  const code = document.getElementById("code");
  function take() {
    if (!code || location.hash.length < 2) return;
    code.value = location.hash.slice(1);
    // Keep the code out of the browser's history.
    history.replaceState(null, "", location.pathname);
    document.getElementById("label").focus();
  }
  addEventListener("hashchange", take);
  take();

  // Keys only move the focus and never press a button, so that nobody approves by accident.
  function move(step) {
    const items = [...document.querySelectorAll("[data-item]")];
    const at = items.indexOf(document.activeElement) + step;
    items[Math.max(0, Math.min(items.length - 1, at))]?.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const keys = document.body.dataset.keys;
    if (keys === "list" && "jk".includes(event.key)) move(event.key === "j" ? 1 : -1);
    else if (keys === "card" && "ad".includes(event.key)) document.querySelector(`[data-key="${event.key}"]`)?.focus();
    else if (keys === "card" && event.key === "u") location.assign("/approvals");
    else if (keys === "card" && event.key === "?") document.getElementById("keys").showModal();
    else return;
    event.preventDefault();
  });

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
    const news = () => paused || document.body.dispatchEvent(new Event("news"));
    stream.addEventListener("news", news);
    // There may be news since the page was rendered or while the server was away.
    stream.addEventListener("open", news);
    stream.addEventListener("ended", () => {
      stream.close();
      location.reload();
    });
    addEventListener("pagehide", () => stream.close());
  }
})();
