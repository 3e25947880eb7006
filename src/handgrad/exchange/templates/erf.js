
/* The error function by a series of terms of one sign (Abramowitz and Stegun 7.1.6), to 1e-15. */
function erf(x) {
  if (x * x > 36) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; term * term > 1e-36 * sum * sum; n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 1.1283791670955126 * Math.exp(-x * x) * sum;
}
