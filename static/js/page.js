// What every page does: theme, time zone, times that go on, shortcuts, copying, asking before something is removed.

import { setUpShortcuts } from "./shortcuts.js";
import { setUpTheme } from "./theme.js";
import { keepTimesCurrent, rememberZone } from "./times.js";

function setUpCopying() {
  const reveal = () => document.querySelectorAll("[data-copy][hidden]").forEach((button) => { button.hidden = false; });
  if (!navigator.clipboard) return;
  reveal();
  new MutationObserver(reveal).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    const text = source.content ? source.content.textContent : source.textContent;
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1600);
  });
}

function askBeforeRemoving() {
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}

function closeMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

setUpTheme();
rememberZone();
keepTimesCurrent();
setUpShortcuts();
setUpCopying();
askBeforeRemoving();
closeMenus();
