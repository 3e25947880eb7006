// Follows a run that trains: asks for a stamp every two seconds and redraws when it has changed.
"use strict";
(() => {
  if (location.protocol === "file:") return;  // a page that was saved follows nothing
  const note = document.createElement("p");
  note.className = "lost";
  note.setAttribute("role", "status");
  document.body.prepend(note);

  async function fetched(address) {
    const answer = await fetch(address, {cache: "no-store"});
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.text();
  }

  async function look() {
    if (document.hidden) return;
    const stamp = await fetched("/stamp" + location.pathname);
    if (stamp === document.body.dataset.stamp) return;
    const page = new DOMParser().parseFromString(await fetched(location.pathname), "text/html");
    const open = [...document.querySelectorAll("details[open][id]")].map(d => d.id);
    const focused = document.activeElement?.id;
    for (const part of ["header", "nav", "main"]) document.querySelector(part)?.replaceWith(page.querySelector(part) ?? "");
    document.title = page.title;
    document.body.dataset.stamp = page.body.dataset.stamp;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    handgrad.start();
    handgrad.enhance();
    if (focused) document.getElementById(focused)?.focus({preventScroll: true});
  }

  async function follow() {
    try {
      await look();
      note.textContent = "";
    } catch {
      note.textContent = "handgrad watch does not answer: what you see may be old.";
    }
    setTimeout(follow, 2000);
  }
  setTimeout(follow, 2000);
})();
