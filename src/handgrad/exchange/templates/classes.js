/* The name of the most probable class for one example. */
function predictClass(row) {
  const found = predictProbabilities(row);
  return classNames[found.indexOf(Math.max(...found))];
}
