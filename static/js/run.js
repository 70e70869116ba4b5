// The run page, live. Events say that something changed; the server then draws the parts that did, and they are put in
// without disturbing what is being read. Streamed text alone is added here, as text.

import { putCards } from "./cards.js";
import { Live } from "./live.js";
import { serverTime, setServerTime, tick } from "./times.js";

const GATHER = 120;
const MIN_WIDTH = 0.6;
const STEP_WORDS = {
  step_started: "started",
  step_finished: "done",
  step_failed: "failed",
  step_retrying: "is tried again",
  step_interrupted: "was interrupted",
};
const RUN_WORDS = {
  run_succeeded: "The run is done.",
  run_failed: "The run has failed.",
  run_cancelled: "The run is cancelled.",
  run_paused: "The run is paused.",
  run_waiting: "The run is waiting.",
  worker_died: "The run's worker died; another one goes on.",
  loop_blocked: "A step blocked its worker, which was killed; another one goes on.",
};

const run = document.querySelector("article[data-run]");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const streams = new Map();

let live = null;
let refreshTimer = 0;
let isRefreshing = false;
let isRefreshWanted = false;
let lastTook = 0;

// --- Drawing ---------------------------------------------------------------------------------------------------------

function chosenKey() {
  return new URLSearchParams(location.search).get("step") || "";
}

async function refresh() {
  if (isRefreshing) {
    isRefreshWanted = true;
    return;
  }
  isRefreshing = true;
  const begun = performance.now();
  try {
    const query = new URLSearchParams(location.search);
    const response = await fetch(`${run.dataset.partsUrl}?${query}`, { headers: { "X-Requested-With": "fetch" } });
    if (response.redirected) location.reload();
    if (response.ok) put(await response.text());
  } catch {
    // The connection is gone; the socket notices, says so and asks again when it is back.
  } finally {
    isRefreshing = false;
    lastTook = performance.now() - begun;
    if (isRefreshWanted) {
      isRefreshWanted = false;
      later();
    }
  }
}

function later() {
  // Gathers what comes close together; a long run, slow to draw, is drawn less often. Nobody looks at a hidden page.
  if (refreshTimer || document.hidden) return;
  refreshTimer = setTimeout(() => {
    refreshTimer = 0;
    refresh();
  }, Math.max(GATHER, 3 * lastTook));
}

function put(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const parts = parsed.querySelector("[data-parts]");
  if (!parts) return;
  const wasOpen = "open" in run.dataset;
  run.dataset.status = parts.dataset.status;
  if ("open" in parts.dataset) run.dataset.open = "";
  else delete run.dataset.open;
  for (const message of parts.querySelectorAll(".message-error")) say(message.textContent.trim(), true);
  replaceUnlessSame("run-head", parts);
  replaceUnlessSame("run-files", parts);
  replaceUnlessSame("run-tree", parts);
  putCards(document.getElementById("run-decisions"), parts.querySelector("#run-decisions"));
  putTimeline(parts.querySelector("#run-timeline"));
  putPane(parts.querySelector("#run-pane"));
  document.title = document.title.replace(/ · \w+$/, ` · ${run.dataset.status}`);
  if (!wasOpen && "open" in run.dataset && live) live.resume();
  tick();
}

function replaceUnlessSame(id, parts) {
  const before = document.getElementById(id);
  const after = parts.querySelector(`#${id}`);
  if (!before || !after || before.isEqualNode(after)) return;
  const focused = before.contains(document.activeElement) ? document.activeElement.closest("form")?.action : null;
  before.replaceWith(after);
  if (focused) [...after.querySelectorAll("form")].find((form) => form.action === focused)?.querySelector("button").focus();
}

function putTimeline(after) {
  const before = document.getElementById("run-timeline");
  setServerTime(Number(after.dataset.now));
  const rows = new Map([...before.querySelectorAll("[data-tracks] > li")].map((row) => [row.dataset.key, row]));
  const list = before.querySelector("[data-tracks]");
  const isAtEnd = before.scrollHeight - before.scrollTop - before.clientHeight < 40;
  const kept = [...after.querySelectorAll("[data-tracks] > li")].map((row) => {
    const known = rows.get(row.dataset.key);
    if (known && known.dataset.version === row.dataset.version) {
      known.querySelector("a").toggleAttribute("aria-current", false);
      if (row.querySelector("[aria-current]")) known.querySelector("a").setAttribute("aria-current", "true");
      known.querySelector("svg.gantt").replaceWith(row.querySelector("svg.gantt"));
      return known;
    }
    return row;
  });
  const focused = document.activeElement?.closest("[data-tracks] > li")?.dataset.key;
  list.replaceChildren(...kept);
  after.querySelector("[data-tracks]").replaceWith(list);
  before.replaceChildren(...after.childNodes);
  for (const name of ["start", "end", "growing", "now"]) {
    if (name in after.dataset) before.dataset[name] = after.dataset[name];
    else delete before.dataset[name];
  }
  if (focused) [...list.children].find((row) => row.dataset.key === focused)?.querySelector("a").focus({ preventScroll: true });
  if (isAtEnd && "growing" in before.dataset) before.scrollTop = before.scrollHeight;
  grow();
}

function putPane(after) {
  const before = document.getElementById("run-pane");
  if (before.dataset.version === after.dataset.version && before.dataset.chosen === after.dataset.chosen) return;
  const isSameStep = before.dataset.key === after.dataset.key;
  if (isSameStep) {
    for (const fold of before.querySelectorAll("details[id]")) {
      const other = after.querySelector(`#${fold.id}`);
      if (other) other.open = fold.open;
    }
  }
  before.replaceWith(after);
  showStream(after.dataset.key);
}

// --- Streamed text ---------------------------------------------------------------------------------------------------

function addText({ key, attempt, text, reset }) {
  const known = streams.get(key);
  if (reset || !known || known.attempt !== attempt) streams.set(key, { attempt, text });
  else known.text += text;
  const box = streamBox(key);
  if (!box) return;
  if (reset || Number(box.dataset.attempt) !== attempt) showStream(key);
  else box.append(document.createTextNode(text));
}

function streamBox(key) {
  return [...document.querySelectorAll("[data-stream]")].find((box) => box.dataset.stream === key);
}

function showStream(key) {
  const box = streamBox(key);
  const known = streams.get(key);
  if (!box || !known || known.text.length <= box.textContent.length) return;
  box.dataset.attempt = String(known.attempt);
  box.textContent = known.text;
}

// --- Bars ------------------------------------------------------------------------------------------------------------

function grow() {
  const timeline = document.getElementById("run-timeline");
  if (!("growing" in timeline.dataset)) return;
  const now = serverTime();
  const start = Number(timeline.dataset.start);
  const width = Math.max(now - start, 1);
  for (const bar of timeline.querySelectorAll("rect[data-from]")) {
    const left = Math.min((Number(bar.dataset.from) - start) / width * 100, 100 - MIN_WIDTH);
    const right = ((bar.dataset.to ? Number(bar.dataset.to) : now) - start) / width * 100;
    bar.setAttribute("x", `${left.toFixed(3)}%`);
    bar.setAttribute("width", `${Math.max(right - left, MIN_WIDTH).toFixed(3)}%`);
  }
  moveAxis(timeline, width);
}

const SPANS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

function moveAxis(timeline, width) {
  const seconds = width / 1000;
  const step = SPANS.find((size) => seconds / size <= 3.5) || seconds / 3;
  const svg = timeline.querySelector(".axis svg");
  const marks = [];
  for (let at = 0; at <= seconds * 0.94 && marks.length < 6; at += step) marks.push(at);
  while (svg.children.length > marks.length) svg.lastElementChild.remove();
  while (svg.children.length < marks.length && svg.firstElementChild) svg.append(svg.firstElementChild.cloneNode(true));
  marks.forEach((at, index) => {
    const place = `${(at / seconds * 100).toFixed(3)}%`;
    const [line, text] = svg.children[index].children;
    line.setAttribute("x1", place);
    line.setAttribute("x2", place);
    text.setAttribute("x", place);
    text.textContent = mark(at);
  });
}

function mark(seconds) {
  const short = (number) => String(Number(number.toFixed(2)));
  if (seconds === 0) return "0";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${short(seconds)} s`;
  return seconds < 7200 ? `${short(seconds / 60)} min` : `${short(seconds / 3600)} h`;
}

// --- Acting ----------------------------------------------------------------------------------------------------------

function say(text, isProblem = false) {
  const place = document.getElementById("announce");
  if (place) place.textContent = text;
  if (!isProblem) return;
  const item = document.createElement("p");
  item.className = "message message-error";
  item.setAttribute("role", "alert");
  item.textContent = text;
  run.prepend(item);
  setTimeout(() => item.remove(), 8000);
}

async function control(event) {
  const form = event.target.closest("form[data-control]");
  if (!form) return;
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  data.set("step", chosenKey());
  if (event.submitter) event.submitter.disabled = true;
  if ("cancel" in form.dataset) {
    const state = document.querySelector("[data-state] .state span");
    if (state) state.textContent = "Cancel requested";
    say("Cancel requested.");
  }
  try {
    const response = await fetch(form.action, { method: "POST", body: data, headers: { "X-Requested-With": "fetch" } });
    if (response.ok) put(await response.text());
    else say("That was refused. Load the page anew and try again.", true);
    // Still there: what was written into it can't be used.
    if (event.submitter?.isConnected) event.submitter.disabled = false;
  } catch {
    say("The server can't be reached. Nothing was changed; try again.", true);
    if (event.submitter) event.submitter.disabled = false;
  }
}

async function choose(event) {
  const link = event.target.closest("a");
  const href = link?.getAttribute("href") || "";
  const isPlainClick = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!isPlainClick || !(href === "?" || href.startsWith("?step="))) return;
  event.preventDefault();
  history.pushState(null, "", href === "?" ? location.pathname : href);
  await refresh();
  if (!link.closest("#run-timeline")) document.getElementById("run-pane").scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

function moveByKey(event) {
  if (!["j", "k"].includes(event.key) || event.target.closest("input, textarea, select")) return;
  const links = [...document.querySelectorAll("#run-timeline [data-step-link]")];
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[at + (event.key === "j" ? 1 : -1)];
  if (!next) return;
  next.focus();
  next.click();
}

// --- Messages --------------------------------------------------------------------------------------------------------

function receive(message) {
  if (message.type === "partial") {
    addText(message);
    return;
  }
  if (message.type === "event") {
    const data = message.data || {};
    if (message.kind in STEP_WORDS) say(`${data.label || data.kind || "Step"} ${data.name || ""} ${STEP_WORDS[message.kind]}.`);
    else if (message.kind in RUN_WORDS) say(RUN_WORDS[message.kind]);
    if (message.kind === "step_retrying") streams.delete(data.key);
  }
  later();
}

if (run) {
  setServerTime(Number(document.getElementById("run-timeline").dataset.now));
  run.addEventListener("submit", control);
  run.addEventListener("click", choose);
  addEventListener("popstate", refresh);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) later(); });
  document.addEventListener("keydown", moveByKey);
  setInterval(() => { if (!document.hidden) grow(); }, calm ? 1000 : 100);
  const options = { after: Number(run.dataset.after), onMessage: receive, onDone: refresh };
  live = new Live(`/ws/runs/${run.dataset.run}`, options);
}
