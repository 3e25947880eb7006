/* y = f(x): a network written down by handgrad, which needs nothing else.
x: (4)
y: (3) */

const { max } = Math;
const inputShape = [4];
const outputShape = [3];
const columns = [];
const memory = new Float64Array(8);

function at(place) {
  return memory.subarray(place);
}

/* The numbers of a flat array; a text is its number among those of its column, what is missing NaN. */
function checked(row) {
  const length = row === null || row === undefined ? "nothing" : row.length;
  if (length !== 4) throw new RangeError("a row is a flat array of 4 numbers, got " + length);
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

function matmul_8x4(a, b, y) {
  for (let i = 0; i < 8; i++) {
    let sum = 0;
    for (let j = 0; j < 4; j++)
      sum += a[j] * b[i + j * 8];
    y[i] = sum;
  }
}

function add_8(a, b, y) {
  for (let i = 0; i < 8; i++)
    y[i] = a[i] + b[i];
}

function maximum_8(a, b, y) {
  for (let i = 0; i < 8; i++)
    y[i] = max(a[i], b);
}

function matmul_3x8(a, b, y) {
  for (let i = 0; i < 3; i++) {
    let sum = 0;
    for (let j = 0; j < 8; j++)
      sum += a[j] * b[i + j * 3];
    y[i] = sum;
  }
}

function add_3(a, b, y) {
  for (let i = 0; i < 3; i++)
    y[i] = a[i] + b[i];
}

function compute_y(x, y) {
  // linear1
  matmul_8x4(x, linear1_weight, at(0));
  add_8(at(0), linear1_bias, at(0));
  // relu1
  maximum_8(at(0), 0.0, at(0));
  // linear2
  matmul_3x8(at(0), linear2_weight, y);
  add_3(y, linear2_bias, y);
}

/* The outputs for one example. */
function predict(row) {
  return outputs(compute_y, row, 3);
}

const linear1_weight = Float32Array.of(0.19369307, -0.32557076, -0.64916146, -0.68373317, 0.443031, 0.58372456, 0.15080576, 0.32455716, 0.061695054, 0.61528534, 0.4466844, -0.70323396, 0.50544596, -0.6596096, 0.32478184, -0.45869222, 0.51361257, 0.05863502, -0.28325015, -0.10933678, -0.66705674, -0.5313437, 0.24129936, 0.2081574, 0.16317919, -0.16450478, 0.70316106, 0.6800039, 0.26239598, 0.21278155, 0.26650393, -0.15708883);
const linear1_bias = Float32Array.of(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
const linear2_weight = Float32Array.of(-0.5389982, 0.32715997, 0.037450816, -0.28029132, -0.020922562, 0.57531166, 0.6411248, -0.21005042, 0.105656564, -0.26311636, 0.13929038, -0.23942098, -0.16008934, 0.5764734, -0.40301496, 0.18195947, -0.61445004, 0.49134797, 0.4240723, -0.38497683, 0.55610406, -0.6520382, -0.24207115, -0.51657146);
const linear2_bias = Float32Array.of(0.0, 0.0, 0.0);

export { predict, inputShape, outputShape, columns };
