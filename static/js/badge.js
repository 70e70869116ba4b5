// How much waits for a person, beside the word in the navigation; live on every page of a workspace.

import { Live } from "./live.js";

const MOST = 100;

function show(place, open) {
  const badge = place.querySelector("[data-badge]");
  badge.hidden = open === 0;
  badge.firstElementChild.textContent = open < MOST ? String(open) : `${MOST - 1}+`;
  document.dispatchEvent(new CustomEvent("approvals", { detail: open }));
}

const place = document.querySelector("[data-approvals]");
if (place) {
  new Live(`/ws/w/${place.dataset.approvals}/approvals`, { onMessage: (message) => show(place, message.open) });
}
