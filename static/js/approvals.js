// The list of what waits for a person, live.

import { putCards } from "./cards.js";

let isRefreshing = false;
let isWanted = false;

async function refresh() {
  if (isRefreshing) {
    isWanted = true;
    return;
  }
  isRefreshing = true;
  try {
    const response = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } });
    if (response.redirected) location.reload();
    if (response.ok) put(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch {
    // The connection is gone; the badge's socket says so and tells the count again when it is back.
  } finally {
    isRefreshing = false;
    if (isWanted) {
      isWanted = false;
      refresh();
    }
  }
}

function put(page) {
  putCards(document.querySelector("[data-cards]"), page.querySelector("[data-cards]"));
  for (const name of ["nothing", "decided"]) {
    const fresh = page.querySelector(`[data-${name}]`);
    document.querySelector(`[data-${name}]`).replaceWith(fresh);
  }
}

document.addEventListener("approvals", refresh);
