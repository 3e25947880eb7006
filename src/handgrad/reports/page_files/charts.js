// Zoom and read-out for the charts, which are complete without it. Colours and first layout come with the page.
"use strict";
const handgrad = (() => {
  const WIDTH = 302, HEIGHT = 216;  // of the plot, as charts.py draws it
  const zooms = {};  // chart id -> [first, last] epoch shown; kept when a live page redraws
  const SVG = "http://www.w3.org/2000/svg";

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function niceTicks(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw * 0.999);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i++) ticks.push(+(i * step).toPrecision(10));
    return ticks;
  }

  function logTicks(low, high) {
    const every = Math.max(1, Math.round((high - low) / 5)), factors = high - low > 2.5 ? [1] : high - low > 0.7 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
    const ticks = [];
    for (let d = Math.floor(low); d <= Math.ceil(high); d += every)
      for (const f of factors) if (low <= d + Math.log10(f) && d + Math.log10(f) <= high) ticks.push(f * 10 ** d);
    return ticks;
  }

  const short = value => value === null || value === undefined ? "–" : String(+value.toPrecision(4));

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.data = JSON.parse(figure.dataset.chart);
      this.plot = figure.querySelector("svg.plot");
      this.output = figure.querySelector("output");
      this.all = this.data.x;
      this.shown = zooms[figure.id] || this.all;
      this.epoch = null;
      this.drag = null;
      this.listen();
      this.addKeys();
      if (zooms[figure.id]) this.draw();
    }

    x(epoch) { return (epoch - this.all[0]) / (this.all[1] - this.all[0]) * WIDTH; }
    y(value) {
      const [low, high] = this.data.y;
      return (high - (this.data.log ? Math.log10(value) : value)) / (high - low) * HEIGHT;
    }

    range() {  // of the figures in view, on the axis's own scale
      let low = Infinity, high = -Infinity;
      for (const line of this.data.lines)
        line.values.forEach((value, i) => {
          const epoch = 1 + i * this.data.every;
          if (value === null || epoch < this.shown[0] || epoch > this.shown[1] || (this.data.log && value <= 0)) return;
          const v = this.data.log ? Math.log10(value) : value;
          low = Math.min(low, v);
          high = Math.max(high, v);
        });
      if (low > high) return this.data.y;
      const padding = 0.06 * (high - low) || 0.05 * Math.abs(high) || 0.5;
      return [low - padding, high + padding];
    }

    draw() {
      const whole = this.shown === this.all, y = whole ? this.data.y : this.range();
      const scale = (v, [low, high], size) => (v - low) / (high - low) * size;
      const top = scale(this.data.y[1] - y[1], [0, this.data.y[1] - this.data.y[0]], HEIGHT);
      const height = scale(y[1] - y[0], [0, this.data.y[1] - this.data.y[0]], HEIGHT);
      const left = this.x(this.shown[0]), width = this.x(this.shown[1]) - left;
      this.plot.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
      const xs = this.figure.querySelector(".x-ticks"), ys = this.figure.querySelector(".y-ticks");
      xs.replaceChildren();
      ys.replaceChildren();
      for (const t of niceTicks(...this.shown, 6).filter(Number.isInteger))
        element("text", {x: scale(t, this.shown, WIDTH), y: 16, "text-anchor": "middle"}, xs, this.data.points[t - 1] ?? t);
      for (const t of this.data.log ? logTicks(...y) : niceTicks(...y, 5)) {
        const at = HEIGHT - scale(this.data.log ? Math.log10(t) : t, y, HEIGHT);
        element("line", {class: "grid", x2: WIDTH, y1: at, y2: at}, ys);
        element("text", {x: -6, y: at, dy: ".35em", "text-anchor": "end"}, ys, short(t));
      }
      const best = this.plot.querySelector(".best"), label = this.figure.querySelector(".best-label");
      if (best) {
        const at = (best.x1.baseVal.value - left) / width * WIDTH;
        label.setAttribute("x", this.plot.x.baseVal.value + at);
        label.style.display = at < 0 || at > WIDTH ? "none" : "";
      }
      this.figure.classList.toggle("zoomed", !whole);
      this.reset.hidden = whole;
    }

    show(first, last) {
      const [low, high] = this.all;
      first = Math.max(low, first);
      last = Math.min(high, last);
      if (last - first < 1) return;
      this.shown = first <= low && last >= high ? this.all : [first, last];
      if (this.shown === this.all) delete zooms[this.figure.id];
      else zooms[this.figure.id] = this.shown;
      this.draw();
    }

    zoom(factor) {
      const [first, last] = this.shown, centre = this.epoch ?? (first + last) / 2;
      this.show(centre - (centre - first) * factor, centre + (last - centre) * factor);
    }

    read(epoch) {
      const every = this.data.every, final = Math.max(...this.data.lines.map(line => line.values.length)) - 1;
      const index = Math.min(final, Math.max(0, Math.round((epoch - 1) / every)));
      this.epoch = 1 + index * every;
      const [first, last] = this.shown;
      if (this.epoch < first) this.show(this.epoch, this.epoch + last - first);
      if (this.epoch > last) this.show(this.epoch - (last - first), this.epoch);
      const values = this.data.lines.map(line => `${line.label} ${short(line.values[index])}`.trim());
      this.output.textContent = `${this.data.axis} ${this.data.points[index] ?? this.epoch}: ${values.slice(0, 6).join(", ")}${values.length > 6 ? ", …" : ""}`;
      this.plot.querySelector(".cursor")?.remove();
      element("line", {class: "cursor", x1: this.x(this.epoch), x2: this.x(this.epoch), y1: -9999, y2: 9999}, this.plot);
    }

    leave() {
      this.epoch = null;
      this.output.textContent = "";
      this.plot.querySelector(".cursor")?.remove();
    }

    at(event) {  // the epoch under the pointer; the plot's own box is no use, it holds what is clipped too
      const frame = this.plot.ownerSVGElement, box = frame.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * frame.viewBox.baseVal.width - this.plot.x.baseVal.value;
      return this.shown[0] + x / WIDTH * (this.shown[1] - this.shown[0]);
    }

    listen() {
      this.plot.addEventListener("pointermove", event => {
        this.read(this.at(event));
        if (this.drag) this.brush(this.at(event));
      });
      this.plot.addEventListener("pointerleave", () => this.drag || this.leave());
      this.plot.addEventListener("pointerdown", event => {
        if (event.button !== 0) return;
        this.drag = {from: this.at(event), box: element("rect", {class: "brush", y: -9999, height: 19999}, this.plot)};
        this.plot.setPointerCapture(event.pointerId);
      });
      const end = event => {
        if (!this.drag) return;
        const [first, last] = [this.drag.from, this.at(event)].sort((a, b) => a - b);
        this.drag.box.remove();
        this.drag = null;
        if (event.type === "pointerup" && this.x(last) - this.x(first) > 6) this.show(first, last);
      };
      this.plot.addEventListener("pointerup", end);
      this.plot.addEventListener("pointercancel", end);
      this.plot.addEventListener("dblclick", () => this.show(...this.all));
      this.figure.addEventListener("keydown", event => this.press(event));
      this.figure.addEventListener("blur", () => this.leave());
    }

    brush(to) {
      const [first, last] = [this.drag.from, to].sort((a, b) => a - b);
      this.drag.box.setAttribute("x", this.x(first));
      this.drag.box.setAttribute("width", this.x(last) - this.x(first));
    }

    press(event) {
      if (event.target !== this.figure || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = (event.shiftKey ? 10 : 1) * this.data.every, here = this.epoch ?? this.shown[0] - 1;
      const actions = {
        ArrowRight: () => this.read(here + step), ArrowLeft: () => this.read(here - step),
        Home: () => this.read(this.shown[0]), End: () => this.read(this.shown[1]),
        "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
        "0": () => this.show(...this.all), Escape: () => this.show(...this.all),
      };
      if (!actions[event.key]) return;
      actions[event.key]();
      event.preventDefault();
    }

    addKeys() {
      const keys = document.createElement("div");
      keys.className = "keys";
      const button = (text, label, act) => {
        const made = document.createElement("button");
        Object.assign(made, {type: "button", textContent: text, onclick: act});
        made.setAttribute("aria-label", label);
        keys.append(made);
        return made;
      };
      button("+", "zoom in", () => this.zoom(0.5));
      button("−", "zoom out", () => this.zoom(2));
      this.reset = button("all", "show all epochs", () => this.show(...this.all));
      this.reset.hidden = this.shown === this.all;
      this.figure.append(keys);
    }
  }

  function start() { document.querySelectorAll("figure[data-chart]").forEach(figure => new Chart(figure)); }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => { d.open = true; }));
  start();
  return {start};
})();
