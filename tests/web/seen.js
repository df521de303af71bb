// Runs in the page under test: what a reader could not see or could not name.
// Faint: text whose colour stands out too little from what lies behind it (WCAG 2, AA).
(() => {
  const numbers = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (place) => {
    for (let at = place; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const contrast = (place) => {
    const pair = [light(numbers(getComputedStyle(place).color)), light(behind(place))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  const speaks = (place) => [...place.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const faint = [...document.querySelectorAll("body *")]
    .filter((place) => speaks(place) && place.checkVisibility() && contrast(place) < 4.5)
    .map((place) => `faint: ${place.tagName}.${place.className} ${place.textContent.trim().slice(0, 30)}`);
  const nameless = [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a")]
    .filter((it) => !(it.labels?.length || it.textContent.trim() || it.getAttribute("aria-label")))
    .map((it) => `nameless: ${it.outerHTML}`);
  return [...faint, ...nameless];
})()
