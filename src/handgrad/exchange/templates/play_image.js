// A board to draw on, or to put a picture on; what the network sees of it, and which of the pixels matter.
"use strict";
(() => {
  const { by, show } = play, [height, width, channels] = network.inputShape;
  const board = by("board"), pen = by("pen"), zoom = Math.max(1, Math.round(280 / Math.max(height, width)));
  const paper = board.getContext("2d", { willReadFrequently: true });
  let last = null, place = { x: 0.5, y: 0.5 }, isDown = false, waits = false;

  board.width = width * zoom;
  board.height = height * zoom;
  for (const id of ["seen", "saliency"]) Object.assign(by(id), { width, height });
  document.querySelector(".coloured").hidden = channels !== 3;
  document.querySelector(".grey").hidden = channels !== 1;

  function clear() {
    paper.fillStyle = channels === 3 ? "white" : "black"; // paper for a coloured pen, else dark as in MNIST
    paper.fillRect(0, 0, board.width, board.height);
    changed();
  }

  function line(from, to) {
    Object.assign(paper, { lineCap: "round", lineWidth: by("width").value / 100 * Math.max(board.width, board.height) });
    paper.strokeStyle = channels === 3 ? by("colour").value : "white";
    paper.beginPath();
    paper.moveTo(from.x * board.width, from.y * board.height);
    paper.lineTo(to.x * board.width, to.y * board.height);
    paper.stroke();
    changed();
  }

  // The light of each place of the board, from 0 to 1, in each channel.
  function light() {
    const { data } = paper.getImageData(0, 0, board.width, board.height), found = new Float32Array(board.width * board.height * channels);
    for (let i = 0, at = 0; i < data.length; i += 4) {
      if (channels === 1) found[at++] = (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]) / 255;
      else for (let c = 0; c < 3; c++) found[at++] = data[i + c] / 255;
    }
    return found;
  }

  // Where the picture is on the board: all of it, or what is drawn, as large and as central as MNIST's digits.
  function frame(from) {
    const all = { left: 0, top: 0, scale: zoom };
    if (channels !== 1 || !by("centre").checked) return all;
    let [left, right, top, bottom, mass, x, y] = [Infinity, -1, Infinity, -1, 0, 0, 0];
    from.forEach((value, i) => {
      if (value < 0.1) return;
      const column = i % board.width, row = (i - column) / board.width;
      [left, right] = [Math.min(left, column), Math.max(right, column)];
      [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
      [mass, x, y] = [mass + value, x + value * (column + 0.5), y + value * (row + 0.5)];
    });
    if (!mass) return all;
    const scale = Math.max(right - left + 1, bottom - top + 1) / (Math.min(width, height) * 20 / 28);
    return { left: x / mass - scale * width / 2, top: y / mass - scale * height / 2, scale };
  }

  // The pixels that the network sees: means over the places of the board that each of them covers.
  function pixels() {
    const from = light(), { left, top, scale } = frame(from), found = new Float64Array(height * width * channels);
    const range = (start, size) => [Math.round(start), Math.max(Math.round(start) + 1, Math.round(start + size))];
    for (let row = 0; row < height; row++) {
      const [y0, y1] = range(top + row * scale, scale);
      for (let column = 0; column < width; column++) {
        const [x0, x1] = range(left + column * scale, scale), share = facts.highest / ((y1 - y0) * (x1 - x0));
        for (let y = Math.max(0, y0); y < Math.min(board.height, y1); y++)
          for (let x = Math.max(0, x0); x < Math.min(board.width, x1); x++)
            for (let c = 0; c < channels; c++)
              found[(row * width + column) * channels + c] += share * from[(y * board.width + x) * channels + c];
      }
    }
    return found;
  }

  function paint(id, colour) {
    const context = by(id).getContext("2d"), image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) image.data.set([...colour(i), 255], 4 * i);
    context.putImageData(image, 0, 0);
  }

  function shade(row, i) {
    return [0, 1, 2].map((c) => 255 * row[i * channels + Math.min(c, channels - 1)] / facts.highest);
  }

  let row = pixels();

  function answer() {
    waits = false;
    row = pixels();
    paint("seen", (i) => shade(row, i));
    show(row);
  }

  // Once for all that happens before the next frame.
  function changed() {
    if (!waits) requestAnimationFrame(answer);
    waits = true;
  }

  // The largest slope of each pixel's channels (Simonyan, Vedaldi and Zisserman 2013), over the picture in grey.
  play.explained((slopes) => {
    const sizes = Float64Array.from({ length: width * height }, (_, i) => Math.max(...slopes.slice(i * channels, (i + 1) * channels).map(Math.abs)));
    const most = Math.max(1e-30, ...sizes);
    paint("saliency", (i) => {
      const share = sizes[i] / most, [r, g, b] = shade(row, i), grey = 0.4 * (0.299 * r + 0.587 * g + 0.114 * b);
      return [255, 155, 84].map((part) => grey + share * (part - grey));
    });
  });

  function at(event) {
    const box = board.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  board.addEventListener("pointerdown", (event) => {
    board.setPointerCapture(event.pointerId);
    last = at(event);
    line(last, last);
  });
  board.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const each of [...(event.getCoalescedEvents ? event.getCoalescedEvents() : []), event]) {
      line(last, at(each));
      last = at(each);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) board.addEventListener(name, () => { last = null; });

  board.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const from = place, inside = (value) => Math.min(1, Math.max(0, value));
      place = { x: inside(from.x + step[0] / width), y: inside(from.y + step[1] / height) };
      if (isDown) line(from, place);
    } else if (event.key === " ") {
      isDown = !isDown;
      if (isDown) line(place, place);
    } else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault();
    Object.assign(pen.style, { left: 100 * place.x + "%", top: 100 * place.y + "%" });
    pen.hidden = false;
    pen.className = isDown ? "down" : "";
  });
  board.addEventListener("blur", () => { pen.hidden = true; });

  function invert() {
    Object.assign(paper, { globalCompositeOperation: "difference", fillStyle: "white" });
    paper.fillRect(0, 0, board.width, board.height);
    paper.globalCompositeOperation = "source-over";
    changed();
  }

  async function open(file) {
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      by("note").textContent = file.name + " is no picture that this browser can read.";
      return;
    }
    const scale = Math.min(board.width / picture.width, board.height / picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    clear();
    paper.imageSmoothingQuality = "high";
    paper.drawImage(picture, (board.width - w) / 2, (board.height - h) / 2, w, h);
    // a digit on white paper: networks of grey pictures mostly know light on dark
    if (channels === 1 && [[0.02, 0.02], [0.98, 0.02], [0.02, 0.98], [0.98, 0.98]].every(([x, y]) => light()[Math.floor((y * (h - 1) + (board.height - h) / 2)) * board.width + Math.floor(x * (w - 1) + (board.width - w) / 2)] > 0.5)) invert();
    changed();
  }

  by("clear").addEventListener("click", clear);
  by("invert").addEventListener("click", invert);
  by("centre").addEventListener("change", changed);
  by("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => { if (event.clipboardData.files[0]) open(event.clipboardData.files[0]); });
  clear();
  answer();
})();
