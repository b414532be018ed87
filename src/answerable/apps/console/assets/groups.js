// Answer many similar approvals at once. The server enforces every rule.
"use strict";
(() => {
  const { assertion, post } = window.answerable;

  // Sign once over the list that the page displays.
  async function answerMany(said) {
    const rows = [...document.querySelectorAll("tr[data-id]")];
    const seen = Object.fromEntries(rows.map((one) => [one.dataset.id, one.dataset.rendering]));
    const { nonce, options, ids, left_out: before } = await post("/groups/open", { ...said, seen }, true);
    const signed = await assertion(options);
    const after = await post("/groups/answer", { ...said, nonce, ids, assertion: signed }, true);
    const left = Object.entries({ ...before, ...after.left_out });
    if (!left.length) return location.assign("/approvals");
    const named = left.slice(0, 5).map(([id, why]) => `${id.slice(0, 8)}: ${why}`).join("; ");
    throw new Error(`${after.answered} answered, ${left.length} left out: ${named}`);
  }

  window.answerable.answerMany = answerMany;
})();
