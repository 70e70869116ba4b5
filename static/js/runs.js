// Lists of runs, live: rows that are shown change in place; new ones gather behind a button, so that nothing jumps.

import { Live } from "./live.js";

const GATHER = 150;

let waiting = new Set();
let fresh = new Map();
let timer = 0;

function list() {
  return document.querySelector("[data-runs-live]");
}

function parse(html) {
  // Rows can only be parsed inside a table.
  const parsed = new DOMParser().parseFromString(`<table><tbody>${html}</tbody></table>`, "text/html");
  return [...parsed.querySelectorAll("tr[data-run]")];
}

async function fetchRows() {
  const place = list();
  const ids = [...waiting].slice(0, 50);
  ids.forEach((id) => waiting.delete(id));
  if (!place || !ids.length) return;
  const url = new URL(place.dataset.rowsUrl, location.href);
  url.searchParams.set("ids", ids.join(","));
  try {
    const response = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
    if (response.ok && !response.redirected) parse(await response.text()).forEach(put);
  } catch {
    ids.forEach((id) => waiting.add(id));
  }
  showCount();
  if (waiting.size) later();
}

function put(row) {
  const known = document.getElementById(row.id);
  if (known) known.replaceWith(row);
  else fresh.set(row.dataset.run, row);
}

function later() {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    fetchRows();
  }, GATHER);
}

function showCount() {
  const place = list();
  const body = place?.querySelector("[data-runs-body]");
  if (!place || !fresh.size) return;
  if (place.dataset.insert === "top" && body) {
    insert(body, Number(place.dataset.limit));
    return;
  }
  const button = place.querySelector("[data-new-rows]");
  if (!button || place.dataset.insert === "never") return;
  button.hidden = false;
  button.textContent = `${fresh.size} new`;
}

function insert(body, limit = 0) {
  // Ids are in the order of time, so the newest come first.
  const newest = body.querySelector("tr")?.dataset.run || "";
  const rows = [...fresh.values()].filter((row) => row.dataset.run > newest);
  rows.sort((a, b) => (a.dataset.run < b.dataset.run ? 1 : -1));
  rows.forEach((row) => row.classList.add("fresh"));
  body.prepend(...rows);
  while (limit && body.children.length > limit) body.lastElementChild.remove();
  fresh = new Map();
}

function showNew(event) {
  const button = event.target.closest("[data-new-rows]");
  if (!button) return;
  const body = list().querySelector("[data-runs-body]");
  if (!body) {
    location.reload();
    return;
  }
  insert(body);
  button.hidden = true;
}

function receive(message) {
  if (message.type !== "runs") return;
  const newest = list()?.querySelector("[data-runs-body] tr")?.dataset.run || "";
  for (const line of message.runs) {
    const row = document.getElementById(`run-${line.id}`);
    // The feed begins with all it knows; what is older than the list's first row and not on it is of no interest here.
    if (row ? isOther(row, line) : line.id > newest) waiting.add(line.id);
  }
  if (waiting.size) later();
}

function isOther(row, line) {
  const shown = row.dataset.state || "";
  const now = [line.status, line.reason, line.wanted, line.steps, line.cost_microusd].join("|");
  row.dataset.state = now;
  return shown !== now;
}

const place = list();
if (place) {
  document.addEventListener("click", showNew);
  document.addEventListener("htmx:afterSwap", () => { fresh = new Map(); });
  new Live(`/ws/w/${place.dataset.runsLive}/runs`, { onMessage: receive });
}
