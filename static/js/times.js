// Times that go on while a page is open.

import { recall, remember } from "./cookies.js";

const UNITS = [[86400, " d"], [3600, " h"], [60, " min"], [1, " s"]];

// The server's clock minus ours, in milliseconds: spans that go on are counted by the server's.
let skew = 0;

export function setServerTime(milliseconds) {
  if (milliseconds) skew = milliseconds - Date.now();
}

export function serverTime() {
  return Date.now() + skew;
}

export function rememberZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && recall("tz") !== zone) remember("tz", zone);
}

export function span(milliseconds) {
  const seconds = Math.max(milliseconds, 0) / 1000;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(seconds) % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function ago(milliseconds) {
  const gap = Math.round(Math.abs(milliseconds) / 1000);
  if (gap < 5) return "now";
  const [size, unit] = UNITS.find(([limit]) => gap >= limit);
  const words = `${Math.floor(gap / size)}${unit}`;
  return milliseconds > 0 ? `${words} ago` : `in ${words}`;
}

export function tick() {
  const now = serverTime();
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = span(now - Number(element.dataset.since));
  }
}

function tickSlowly() {
  const now = serverTime();
  const week = 7 * 86400 * 1000;
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const gap = now - Date.parse(element.dateTime);
    // Older ones stay as the server wrote them: days, weeks and months are its words.
    if (Math.abs(gap) < week / 7) element.textContent = ago(gap);
  }
}

export function keepTimesCurrent() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  setInterval(() => { if (!document.hidden) tick(); }, calm ? 1000 : 100);
  setInterval(() => { if (!document.hidden) tickSlowly(); }, 5000);
}
