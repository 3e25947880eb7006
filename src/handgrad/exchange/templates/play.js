// The answer for a row of numbers, as bars; a click on one of them asks what speaks for it.
"use strict";
const play = (() => {
  const by = (id) => document.getElementById(id);
  const names = network.classNames || [];
  let rows = [], row = null, chosen = -1, best = 0, later = 0, explain = () => {};

  function softmax(y) {
    const most = Math.max(...y), powers = y.map((value) => Math.exp(value - most));
    const sum = powers.reduce((one, other) => one + other);
    return powers.map((power) => power / sum);
  }

  // Probabilities where the network has classes, else its outputs as they are.
  function answer() {
    if (network.predictProbabilities) return [network.predictProbabilities(row), true];
    const y = network.predict(row);
    if (!facts.isImage || y.length < 2) return [y, false];
    const sum = y.reduce((one, other) => one + other);
    const are = y.every((value) => value >= 0) && Math.abs(sum - 1) < 1e-5;
    by("note").textContent = are ? "" : "Probabilities: the softmax of the network's outputs.";
    return [are ? y : softmax(y), true];
  }

  function figure(value, isShare) {
    if (Number.isNaN(value)) return "no number";
    if (!isShare) return String(+value.toPrecision(4));
    return (100 * value).toFixed(value > 0.0005 && value < 0.9995 ? 1 : 0) + " %";
  }

  function add(number, count) {
    const line = by("answers").tBodies[0].insertRow(), head = document.createElement("th");
    const button = document.createElement("button"), bar = document.createElement("i");
    head.scope = "row";
    button.type = "button";
    button.textContent = (names.length === count && names[number]) || (count > 1 ? "output " + number : facts.target || "output");
    button.addEventListener("click", () => { chosen = chosen === number ? -1 : number; show(row); });
    head.append(button);
    line.append(head);
    const cell = line.insertCell(), share = line.insertCell();
    cell.className = "share";
    cell.append(bar);
    share.className = "number";
    return { line, button, bar, share };
  }

  function show(numbers) {
    row = numbers;
    const [y, areShares] = answer(), most = areShares ? 1 : Math.max(1e-9, ...y.map(Math.abs));
    if (!rows.length) {
      rows = y.map((_, number) => add(number, y.length));
      for (const id of ["bars", "hint"]) by(id).hidden = y.length === 1;
    }
    best = Math.max(0, y.indexOf(Math.max(...y)));
    y.forEach((value, number) => {
      const { line, button, bar, share } = rows[number];
      bar.style.width = 100 * Math.abs(value) / most + "%";
      bar.className = value < 0 ? "negative" : "";
      share.textContent = figure(value, areShares);
      line.className = areShares && number === best ? "marked" : "";
      button.setAttribute("aria-pressed", number === chosen);
    });
    const name = rows[areShares ? best : 0].button.textContent, value = figure(y[areShares ? best : 0], areShares);
    const text = y.every(Number.isFinite) ? name + (areShares ? ", " : ": ") + value : "no number";
    by("answer").textContent = areShares || y.length === 1 ? text : "";
    clearTimeout(later);
    later = setTimeout(() => {
      by("said").textContent = by("answer").textContent;
      by("looked").textContent = rows[looked()].button.textContent;
      explain(slopes());
    }, 60);
  }

  function looked() {
    return chosen < 0 ? best : chosen;
  }

  // How fast the network's own output for the class that is looked at changes with each number.
  function slopes() {
    const single = network.outputShape.reduce((one, other) => one * other, 1) === 1;
    const slopes = network.gradient(row, single ? 0 : looked());
    return single && rows.length === 2 && looked() === 0 ? slopes.map((slope) => -slope) : slopes;
  }

  return { by, show, explained: (f) => { explain = f; } };
})();
