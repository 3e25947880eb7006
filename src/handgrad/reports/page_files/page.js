// What makes a page handier, and none needs: tables sort and filter, runs hide, commands copy, paper shows what is folded.
handgrad.enhance = (() => {
  const sorts = {};  // table's label -> [column, direction]; kept when a live page redraws
  let filter = "";

  function figure(cell) {
    const text = cell.dataset.value ?? cell.textContent.trim(), number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0], rows = [...body.rows];
    const compare = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
    rows.sort((a, b) => direction * compare(figure(a.cells[column]), figure(b.cells[column])));
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, i) => cell.setAttribute("aria-sort", i !== column ? "none" : direction > 0 ? "ascending" : "descending"));
  }

  function sortable(table) {
    const key = table.parentElement.getAttribute("aria-label");
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      if (!cell.textContent.trim()) return;
      const button = document.createElement("button");
      button.className = "sort";
      button.type = "button";
      button.append(...cell.childNodes);
      button.onclick = () => {
        sorts[key] = [column, cell.getAttribute("aria-sort") === "ascending" ? -1 : 1];
        sort(table, ...sorts[key]);
      };
      cell.append(button);
    });
    if (sorts[key]) sort(table, ...sorts[key]);
  }

  function filtered(box) {
    const look = () => {
      filter = box.value;
      const words = filter.toLowerCase().split(/\s+/);
      for (const row of document.querySelectorAll("table.sortable tbody tr"))
        row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
    };
    box.value = filter;
    box.oninput = look;
    look();
  }

  function copied(code) {
    const button = document.createElement("button");
    Object.assign(button, {type: "button", className: "copy", textContent: "copy"});
    button.onclick = async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    };
    code.before(button);
  }

  function cued(box) {  // a table that is wider than its place says so, and keeps its first column
    const more = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("more", more);
    if (box.nextElementSibling?.className === "scrolls") box.nextElementSibling.remove();
    if (!more) return;
    const note = document.createElement("p");
    note.className = "scrolls";
    note.textContent = "scroll sideways for more →";
    box.after(note);
  }

  function enhance() {
    document.querySelectorAll(".wide").forEach(cued);
    document.querySelectorAll("table.sortable").forEach(sortable);
    document.querySelectorAll("input.filter").forEach(filtered);
    if (navigator.clipboard) document.querySelectorAll("pre.command").forEach(copied);
    for (const box of document.querySelectorAll("input[data-toggle]")) {
      box.hidden = false;
      box.onchange = () => handgrad.toggle(box.dataset.toggle, box.checked);
    }
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .long)")];
    opened.forEach(details => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach(details => { details.open = false; }));
  addEventListener("resize", () => document.querySelectorAll(".wide").forEach(cued));
  enhance();
  return enhance;
})();
