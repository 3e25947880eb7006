// Formulas are TeX in the page; KaTeX, served with the site, draws them.
for (const place of document.querySelectorAll(".math")) {
  katex.render(place.textContent, place, { displayMode: place.tagName === "DIV", throwOnError: false });
}
