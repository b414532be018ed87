// Display push messages and open the console's own page. A message cannot choose the address: only its id is used.
"use strict";
const ID = /^[A-Za-z0-9_-]{1,128}$/;

self.addEventListener("push", (event) => {
  let said = {};
  try {
    said = event.data.json();
  } catch {
    // Show a default text for an unreadable message, because browsers require a notification.
  }
  const text = (value, limit) => (typeof value === "string" ? value.slice(0, limit) : "");
  event.waitUntil(
    self.registration.showNotification(text(said.title, 120) || "An action waits for you", {
      body: text(said.body, 300),
      tag: text(said.tag, 128) || "answerable",
      data: { id: ID.test(said.id) ? said.id : "" },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const id = event.notification.data?.id ?? "";
  event.waitUntil(self.clients.openWindow(ID.test(id) ? `/approvals/${id}` : "/approvals"));
});
