// A form with a slider for each number and a list for each text; small bars say which way each of them moves the answer.
"use strict";
(() => {
  const { by, show } = play, form = by("form");
  const count = network.inputShape.reduce((one, other) => one * other, 1);
  const columns = Array.from({ length: count }, (_, i) => ({ name: "x" + (i + 1), ...facts.range, ...network.columns[i] }));

  // A step of 1, 2 or 5 at its place that makes some 200 of the range.
  function stepOf(range) {
    const power = 10 ** Math.floor(Math.log10(range / 200));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= range / 200);
  }

  function element(name, attributes, ...inner) {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...inner);
    return made;
  }

  function list(column, id) {
    const options = [...column.texts, "another"].map((text, i) => element("option", { value: i, textContent: text }));
    const choice = element("select", { id }, ...options);
    return { column, parts: [choice], read: () => (choice.value < column.texts.length ? +choice.value : -1),
      write: (value) => { choice.value = value; }, middle: 0 };
  }

  function slider(column, id) {
    const empty = !(column.high > column.low);
    const [low, high] = empty ? [(column.low || 0) - 1, (column.low || 0) + 1] : [column.low, column.high];
    const step = facts.isWhole ? 1 : stepOf(high - low), digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const range = element("input", { type: "range", id, min: low, max: high, step: "any" });
    const typed = element("input", { type: "number", step: "any", ariaLabel: column.name + ", as a number" });
    const effect = element("span", { className: "effect" }, element("i", {}));
    const write = (value) => { range.value = value; typed.value = (+value).toFixed(digits); };
    range.addEventListener("input", () => write(Math.round(range.value / step) * step));
    typed.addEventListener("input", () => { if (typed.value !== "") range.value = typed.value; });
    const read = () => (typed.value === "" ? NaN : +typed.value), middle = column.mean ?? (low + high) / 2;
    return { column: { ...column, low, high }, parts: [range, typed, effect], read, write, middle, bar: effect.firstChild };
  }

  const fields = columns.map((column, i) => {
    const made = (column.texts ? list : slider)(column, "column" + i);
    form.append(element("div", {}, element("label", { htmlFor: "column" + i, textContent: column.name }), ...made.parts));
    return made;
  });

  const changed = () => show(fields.map((field) => field.read()));

  play.explained((slopes) => {
    const effects = fields.map(({ bar, column }, i) => (bar ? slopes[i] * (column.high - column.low) : 0));
    const most = Math.max(1e-30, ...effects.map(Math.abs).filter(Number.isFinite));
    fields.forEach(({ bar }, i) => {
      if (!bar) return;
      bar.style.width = Math.min(50, 50 * Math.abs(effects[i] || 0) / most) + "%";
      bar.className = effects[i] < 0 ? "negative" : "";
    });
  });

  function fill(value) {
    fields.forEach((field) => field.write(value(field)));
    changed();
  }

  function drawn({ column }) {
    if (column.texts) return Math.floor(Math.random() * column.texts.length);
    const value = column.low + Math.random() * (column.high - column.low);
    return facts.isWhole ? Math.round(value) : value;
  }

  const middles = () => fill(({ middle }) => (facts.isWhole ? Math.round(middle) : middle));
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  by("means").addEventListener("click", middles);
  by("random").addEventListener("click", () => fill(drawn));
  middles();
})();
