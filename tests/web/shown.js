// Runs in the page under test: every text that a reader sees or hears, and what is too small for a thumb.
(() => {
  const seen = (place) => place.checkVisibility() && !place.closest("[hidden], script, style, .skip");
  const texts = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    if (walk.currentNode.textContent.trim() && seen(walk.currentNode.parentElement)) texts.push(walk.currentNode.textContent.trim());
  }
  for (const place of document.querySelectorAll("[aria-label], [placeholder]")) {
    if (seen(place)) texts.push(place.getAttribute("aria-label") || place.getAttribute("placeholder"));
  }
  const targets = "button, select, textarea, summary, nav a, .button, a.phone, a.lang, .back a, input:not([type=hidden])";
  const small = [...document.querySelectorAll(targets)]
    .filter((place) => place.checkVisibility() && (place.matches("[type=radio], [type=checkbox]") ? place.closest("label") : place).getBoundingClientRect().height < 44)
    .map((place) => place.outerHTML.slice(0, 80));
  return { texts, small };
})()
