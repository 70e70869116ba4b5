// Keys: / searches, g then h, r or d goes somewhere, ? lists them.

const PLACES = { h: 0, r: 1, d: 2 };

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

export function setUpShortcuts() {
  const dialog = document.getElementById("shortcuts");
  if (!dialog) return;
  for (const button of document.querySelectorAll("[data-shortcuts]")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
  let isGoing = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/") {
      event.preventDefault();
      const search = document.querySelector("[data-search]");
      search.focus();
      search.select();
    } else if (event.key === "?") {
      event.preventDefault();
      if (!dialog.open) dialog.showModal();
    } else if (event.key === "g") {
      isGoing = true;
      setTimeout(() => { isGoing = false; }, 1200);
    } else if (isGoing && event.key in PLACES) {
      document.querySelectorAll(".side a")[PLACES[event.key]]?.click();
    }
  });
}
