/* $title: a network written down by handgrad, which needs nothing else.
$about */

$math$constants
const memory = new Float64Array($memory);

function at(place) {
  return memory.subarray(place);
}

/* The numbers of a flat array; a text is its number among those of its column, what is missing NaN. */
function checked(row) {
  const length = row === null || row === undefined ? "nothing" : row.length;
  if (length !== $inputs) throw new RangeError("a row is a flat array of $inputs numbers, got " + length);
  return Float64Array.from(row, (value, column) => {
    if (value === null || value === undefined || String(value).trim() === "") return NaN;
    const texts = columns[column] && columns[column].texts;
    if (texts && typeof value === "string") return texts.indexOf(value);
    if (typeof value === "object" || (typeof value === "string" && Number.isNaN(Number(value)))) {
      throw new TypeError("number " + column + " of a row is no number: " + value);
    }
    return Number(value);
  });
}

function outputs(compute, row, size) {
  const y = new Float64Array(size);
  compute(checked(row), y);
  return Array.from(y);
}
$helpers
$functions

$weights
