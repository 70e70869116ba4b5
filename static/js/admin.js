// The administration, live: the panel on the front page, and the progress on a run's page.

import { Live } from "./live.js";

const EVERY = 2000;
const GATHER = 250;

function keepPanelCurrent(panel) {
  setInterval(async () => {
    if (document.hidden) return;
    const response = await fetch(panel.dataset.panel).catch(() => null);
    panel.classList.toggle("is-stale", !response?.ok);
    if (response?.ok && !response.redirected) panel.innerHTML = await response.text();
  }, EVERY);
}

function followRun() {
  let timer = 0;
  const redraw = async () => {
    const response = await fetch(location.href).catch(() => null);
    if (!response?.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const after = page.getElementById("run-live");
    if (after) document.getElementById("run-live").replaceWith(after);
  };
  const later = () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      redraw();
    }, GATHER);
  };
  const run = document.getElementById("run-live");
  const onMessage = (message) => { if (message.type !== "partial") later(); };
  new Live(`/ws/runs/${run.dataset.run}`, { after: Number(run.dataset.after), onMessage, onDone: redraw });
}

const panel = document.querySelector("[data-panel]");
if (panel) keepPanelCurrent(panel);
if (document.querySelector("#run-live[data-open]")) followRun();
