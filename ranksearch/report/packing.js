// What travels compressed in the page.
"use strict";

async function unpacked(element) {
  const characters = atob(element.textContent);
  const packed = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) packed[i] = characters.charCodeAt(i);
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
