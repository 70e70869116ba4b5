// Home: what the chosen agent is and may do stands under the box; Ctrl or Cmd with Enter starts.

const form = document.querySelector("[data-goal-form]");

function showNote() {
  const chosen = form.querySelector("input[name=agent]:checked")?.value;
  for (const note of form.querySelectorAll("[data-agent-note]")) note.hidden = note.dataset.agentNote !== chosen?.split("@")[0];
}

if (form) {
  form.addEventListener("change", showNote);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  // Two clicks are one run.
  form.addEventListener("submit", () => setTimeout(() => { form.querySelector("button.primary").disabled = true; }));
  addEventListener("pageshow", () => { form.querySelector("button.primary").disabled = false; });
  showNote();
}
