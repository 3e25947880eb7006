// Zoom and read-out for the charts, which are complete without it. Colours and first layout come with the page.
"use strict";
const handgrad = (() => {
  const SVG = "http://www.w3.org/2000/svg", GAP = 14;  // between labels at the ends of lines
  const zooms = {};  // axis -> [first, last] shown, by all charts with that axis; kept when a live page redraws
  let charts = [];

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
    if (high - low < 0.7) return niceTicks(10 ** low, 10 ** high, 5);
    const every = Math.max(1, Math.round((high - low) / 5)), factors = high - low > 2.5 ? [1] : [1, 2, 5];
    const ticks = [];
    for (let d = Math.floor(low); d <= Math.ceil(high); d += every)
      for (const f of factors) if (low <= d + Math.log10(f) && d + Math.log10(f) <= high) ticks.push(f * 10 ** d);
    return ticks;
  }

  // numbers as charts.py writes them
  const compact = value => value === 0 || Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5
    ? String(+value.toPrecision(10)) : value.toExponential().replace("e+", "e");
  const short = (value, digits = 4) => value === null || value === undefined ? "–"
    : Math.abs(value) >= 1000 && Math.abs(value) < 1e6 ? String(Math.round(value)) : compact(+value.toPrecision(digits));

  // heights (sorted as given) moved apart, as charts.spread does
  function spread(wanted, low, high) {
    const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
    const placed = order.map(i => Math.min(high, Math.max(low, wanted[i])));
    for (let i = 1; i < placed.length; i++) placed[i] = Math.max(placed[i], placed[i - 1] + GAP);
    if (placed.length) placed[placed.length - 1] = Math.min(placed[placed.length - 1], high);
    for (let i = placed.length - 2; i >= 0; i--) placed[i] = Math.min(placed[i], placed[i + 1] - GAP);
    const heights = [];
    order.forEach((from, i) => { heights[from] = placed[i]; });
    return heights;
  }

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.data = JSON.parse(figure.dataset.chart);
      this.plot = figure.querySelector("svg.plot");
      this.dots = figure.querySelector(".dots");
      this.output = figure.querySelector("output");
      this.width = this.plot.width.baseVal.value;
      this.height = this.plot.height.baseVal.value;
      this.all = this.data.x;
      for (const line of this.data.lines) line.places ??= line.values.map((_, i) => 1 + i * this.data.every);
      const read = this.data.lines.find(line => !line.pale) ?? this.data.lines[0];  // what arrow keys step through
      this.places = read.places.length > 1 ? read.places : this.data.lines[0].places;
      this.drag = null;
      this.addKeys();
      this.adopt();
      this.listen();
    }

    get peers() { return charts.filter(chart => chart.data.axis === this.data.axis); }
    scaled(value) { return this.data.log ? Math.log10(value) : value; }
    x(epoch) { return (epoch - this.shown[0]) / (this.shown[1] - this.shown[0]) * this.width; }
    y(value) { return (this.range[1] - this.scaled(value)) / (this.range[1] - this.range[0]) * this.height; }
    inView(place) { return place >= this.shown[0] && place <= this.shown[1]; }
    isShown(line) { return !this.hidden?.has(line.label); }

    ranged() {  // of the figures in view, on the axis's own scale
      let low = Infinity, high = -Infinity;
      for (const line of this.data.lines)
        line.values.forEach((value, i) => {
          if (value === null || !this.inView(line.places[i]) || (this.data.log && value <= 0)) return;
          low = Math.min(low, this.scaled(value));
          high = Math.max(high, this.scaled(value));
        });
      if (low > high) return this.data.y;
      const padding = 0.06 * (high - low) || 0.05 * Math.abs(high) || 0.5;
      const [lowest, highest] = this.data.cut ? this.data.y : [-Infinity, Infinity];
      return [Math.max(low - padding, lowest), Math.min(high + padding, highest)];
    }

    adopt() {  // the zoom that all charts with this axis share
      const [low, high] = zooms[this.data.axis] ?? this.all;
      this.shown = low <= this.all[0] && high >= this.all[1] || high <= this.all[0] || low >= this.all[1]
        ? this.all : [Math.max(low, this.all[0]), Math.min(high, this.all[1])];
      this.draw();
    }

    draw() {
      const whole = this.shown === this.all, [x0, x1] = this.all, [y0, y1] = this.data.y;
      this.range = whole ? this.data.y : this.ranged();
      const left = (this.shown[0] - x0) / (x1 - x0) * this.width, top = (y1 - this.range[1]) / (y1 - y0) * this.height;
      const width = (this.shown[1] - this.shown[0]) / (x1 - x0) * this.width, height = (this.range[1] - this.range[0]) / (y1 - y0) * this.height;
      this.plot.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
      const xs = this.figure.querySelector(".x-ticks"), ys = this.figure.querySelector(".y-ticks");
      xs.replaceChildren();
      ys.replaceChildren();
      const parts = this.shown[1] - this.shown[0] < 3 && !this.data.points.length;
      for (const t of niceTicks(...this.shown, this.data.points.length || 6).filter(t => parts || Number.isInteger(t)))
        element("text", {x: this.x(t), y: 16, "text-anchor": "middle"}, xs, this.data.points[t - 1] ?? t);
      for (const t of this.data.log ? logTicks(...this.range) : niceTicks(...this.range, 5)) {
        element("line", {class: "grid", x2: this.width, y1: this.y(t), y2: this.y(t)}, ys);
        element("text", {x: -6, y: this.y(t), dy: ".35em", "text-anchor": "end"}, ys, compact(+t.toPrecision(6)));
      }
      const best = this.plot.querySelector(".best"), label = this.figure.querySelector(".best-label");
      if (best) {
        const at = (best.x1.baseVal.value - left) / width * this.width;
        label.setAttribute("x", this.plot.x.baseVal.value + at);
        label.setAttribute("text-anchor", at > 0.85 * this.width ? "end" : "middle");
        label.style.display = at < 0 || at > this.width ? "none" : "";
      }
      this.label();
      this.figure.classList.toggle("zoomed", !whole);
      this.reset.hidden = whole;
    }

    label() {  // each line's last figure in view, at its height
      const ends = [...this.figure.querySelectorAll(".end")], heights = [], kept = [];
      for (const end of ends) {
        const line = this.data.lines[end.dataset.line];
        const last = line.values.findLastIndex((v, i) => v !== null && this.inView(line.places[i]));
        for (const value of this.figure.querySelectorAll(`[data-line="${end.dataset.line}"] .end-value`))
          value.textContent = last < 0 ? "" : short(line.values[last], 3);
        end.style.display = last < 0 || !this.isShown(line) ? "none" : "";
        if (end.style.display) continue;
        kept.push(end);
        heights.push(this.data.log && line.values[last] <= 0 ? this.height : this.y(line.values[last]));
      }
      spread(heights, 2, this.height - 2).forEach((y, i) => kept[i].setAttribute("y", this.plot.y.baseVal.value + y));
    }

    show(first, last) {
      const [low, high] = this.all, least = this.places.some(p => !Number.isInteger(p)) ? (high - low) / 50 : 1;
      first = Math.max(low, first);
      last = Math.min(high, last);
      if (last - first < least) return;
      if (first <= low && last >= high) delete zooms[this.data.axis];
      else zooms[this.data.axis] = [first, last];
      this.peers.forEach(chart => chart.adopt());
    }

    zoom(factor) {
      const [first, last] = this.shown, centre = this.epoch ?? (first + last) / 2;
      this.show(centre - (centre - first) * factor, centre + (last - centre) * factor);
    }

    nearest(places, epoch) {
      return places.reduce((best, place, i) => Math.abs(place - epoch) < Math.abs(places[best] - epoch) ? i : best, 0);
    }

    read(epoch) {  // here, and at the same place in all charts with this axis
      this.epoch = this.places[this.nearest(this.places, epoch)];
      const [first, last] = this.shown;
      if (this.epoch < first) this.show(this.epoch, this.epoch + last - first);
      if (this.epoch > last) this.show(this.epoch - (last - first), this.epoch);
      this.peers.forEach(chart => chart.point(this.epoch));
    }

    point(epoch) {
      const number = +epoch.toPrecision(4), at = this.x(epoch), said = [];
      this.dots.replaceChildren();
      this.output.replaceChildren();
      if (epoch < this.all[0] || epoch > this.all[1]) return;
      element("line", {class: "cursor", x1: at, x2: at, y2: this.height}, this.dots);
      for (const line of this.data.lines) {
        const i = this.nearest(line.places, epoch), value = line.values[i], near = Math.abs(line.places[i] - epoch) <= this.data.every / 2 + 1e-9;
        if (!near || !this.isShown(line) || (this.data.lines.length > 8 && (value === null || line.pale))) continue;
        said.push([line, value]);
        if (value === null || (this.data.log && value <= 0) || !this.inView(line.places[i])) continue;
        const y = this.y(value);
        if (y >= 0 && y <= this.height) element("circle", {class: "at", r: line.pale ? 2.5 : 4, cx: this.x(line.places[i]), cy: y, style: `--colour:${line.colour}`}, this.dots);
      }
      const head = document.createElement("b");
      head.textContent = `${this.data.axis} ${this.data.points[number - 1] ?? number}`;
      this.output.append(head);
      for (const [line, value] of said.sort((a, b) => (b[1] ?? -Infinity) - (a[1] ?? -Infinity)).slice(0, 10)) {
        const row = document.createElement("span");
        row.style.setProperty("--colour", line.colour);
        row.textContent = `${line.label} ${short(value)}`.trim();
        this.output.append(" ", row);
      }
      const share = (this.plot.x.baseVal.value + at) / this.plot.ownerSVGElement.viewBox.baseVal.width;
      const frame = this.plot.ownerSVGElement.getBoundingClientRect().width;
      const left = share * frame + 12, wide = this.output.offsetWidth;
      this.output.style.left = `${left + wide > this.figure.clientWidth ? Math.max(0, left - wide - 24) : left}px`;
    }

    leave() {
      for (const chart of this.peers) {
        chart.epoch = null;
        chart.output.replaceChildren();
        chart.dots.replaceChildren();
      }
    }

    at(event) {  // the epoch under the pointer; the plot's own box is no use, it holds what is clipped too
      const frame = this.plot.ownerSVGElement, box = frame.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * frame.viewBox.baseVal.width - this.plot.x.baseVal.value;
      return this.shown[0] + x / this.width * (this.shown[1] - this.shown[0]);
    }

    listen() {
      this.plot.addEventListener("pointermove", event => {
        this.read(Math.min(this.shown[1], Math.max(this.shown[0], this.at(event))));
        if (this.drag) this.brush(this.at(event));
      });
      this.plot.addEventListener("pointerleave", () => this.drag || this.leave());
      this.plot.addEventListener("pointerdown", event => {
        if (event.button !== 0) return;
        this.drag = {from: this.at(event), box: element("rect", {class: "brush", height: this.height}, this.dots.parentNode)};
        this.drag.box.setAttribute("transform", this.dots.getAttribute("transform"));
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
      const places = this.places, here = this.epoch == null ? -1 : this.nearest(places, this.epoch);
      const start = here < 0 ? this.nearest(places, this.shown[0]) - 1 : here, step = event.shiftKey ? 10 : 1;
      const to = i => this.read(places[Math.min(places.length - 1, Math.max(0, i))]);
      const actions = {
        ArrowRight: () => to(start + step), ArrowLeft: () => to(start - step),
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
      this.reset = button("all", "show all", () => this.show(...this.all));
      this.figure.querySelector("figcaption").append(keys);
    }

    toggle(label, on) {  // a run's line, in this chart
      this.hidden ??= new Set();
      this.hidden[on ? "delete" : "add"](label);
      for (const part of this.figure.querySelectorAll("[data-run]"))
        part.classList.toggle("off", this.hidden.has(part.dataset.run));
      this.label();
    }
  }

  function start() {
    charts = [...document.querySelectorAll("figure[data-chart]")].map(figure => new Chart(figure));
  }

  start();
  return {start, toggle: (label, on) => {
    charts.forEach(chart => chart.toggle(label, on));
    document.querySelectorAll(".ways [data-run]").forEach(way => way.dataset.run === label && way.classList.toggle("off", !on));
  }};
})();
