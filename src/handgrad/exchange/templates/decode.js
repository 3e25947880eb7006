
/* Numbers from their bytes in base64, as all machines that run JavaScript have them. */
function decode(Numbers, text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Numbers(bytes.buffer);
}
