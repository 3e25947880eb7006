/* The name of the most probable class for one example. */
function predictClass(row) {
  const found = predictProbabilities(row), most = found.indexOf(Math.max(...found));
  if (most < 0) throw new RangeError("no class is the most probable: a number of the row is missing");
  return classNames[most];
}
