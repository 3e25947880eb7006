const changes = new Float64Array(memory.length);

function slopes(place) {
  return changes.subarray(place);
}

/* How fast an output changes with each number of a row. */
function gradient(row, output) {
  const x = checked(row), y = new Float64Array($size), dx = new Float64Array(x.length), dy = new Float64Array($size);
  compute_y(x, y);
  dy[output] = 1;
  differentiate(x, y, dx, dy);
  return Array.from(dx);
}
