// Keeps what is on the page as it is in the house: deadlines count down, cases that change are shown anew,
// one by one. What somebody is typing into is never taken away.
"use strict";
(() => {
  const words = document.getElementById("words").dataset;
  const clock = document.querySelector("[data-now]");
  const ahead = Date.parse(clock.dataset.now) - Date.now();
  const SCALE = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  // Countdowns, in the same words as the server's.
  const duration = (seconds) => {
    let largest = SCALE.findIndex(([, size]) => seconds >= size);
    if (largest < 0) largest = SCALE.length - 1;
    const parts = [];
    for (const [unit, size] of SCALE.slice(largest, largest < 2 ? largest + 2 : largest + 1)) {
      const count = Math.floor(seconds / size);
      seconds -= count * size;
      if (count || !parts.length) parts.push(words[unit].replace("{}", count));
    }
    return parts.join(" ");
  };
  const tick = () => {
    const now = Date.now() + ahead;
    for (const shown of document.querySelectorAll("[data-due]")) {
      const left = Date.parse(shown.dataset.due) - now;
      const text = (left >= 0 ? words.left : words.over).replace("{}", duration(Math.floor(Math.abs(left) / 1000)));
      if (shown.textContent !== text) shown.textContent = text;
      shown.classList.toggle("bad", left < 0);
      shown.classList.toggle("warn", left >= 0 && Date.parse(shown.dataset.warn) <= now);
    }
    const late = document.querySelectorAll("[data-board] .due.bad").length, told = document.getElementById("late");
    if (told) { told.hidden = !late; told.firstElementChild.textContent = words.late.replace("{}", late); }
  };

  // Telling.
  let silence = 0;
  const toast = (text) => {
    const shown = document.getElementById("toast");
    shown.textContent = text;
    shown.hidden = false;
    clearTimeout(silence);
    silence = setTimeout(() => { shown.hidden = true; }, 6000);
  };
  const alive = (yes) => {
    for (const shown of document.querySelectorAll("[data-live-state]")) {
      shown.dataset.liveState = yes ? "on" : "lost";
      shown.querySelector("[data-live-text]").textContent = yes ? words.live : words.lost;
    }
  };

  // Reading parts of pages.
  const read = async (address) => {
    const answer = await fetch(address, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
    if (answer.status === 401) location.assign(answer.headers.get("HX-Redirect") || "/sign-in");
    if (!answer.ok) throw new Error(String(answer.status));
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    return holder.content;
  };
  const inUse = (place) => place.contains(document.activeElement)
    && document.activeElement.matches("input, textarea, select")
    || [...place.querySelectorAll("textarea, input:not([type=hidden]):not([type=radio])")].some((f) => f.value !== f.defaultValue)
    || [...place.querySelectorAll("input[type=radio]")].some((f) => f.checked !== f.defaultChecked)
    || place.querySelector("details.ask[open]") !== null
    || place.querySelector(".htmx-request") !== null || place.classList.contains("htmx-request");
  const markStale = (place) => { const told = place.querySelector(".stale"); if (told) told.hidden = false; };

  // The board: each case is put into its group, at the place that its deadline gives it.
  const board = () => document.querySelector("[data-board]");
  const place = (row) => {
    const group = board().querySelector(`[data-group="${CSS.escape(row.dataset.groupOf)}"]`);
    if (!group) return false;
    const after = [...group.querySelectorAll(":scope > [data-case]")].find((other) => other !== row && other.dataset.order > row.dataset.order);
    group.insertBefore(row, after || null);
    return true;
  };
  const count = () => {
    const total = document.querySelector("[data-total]");
    if (total) total.textContent = board().querySelectorAll("[data-case]").length;
    for (const group of board().querySelectorAll("[data-group]")) {
      group.querySelector("[data-count]").textContent = group.querySelectorAll("[data-case]").length;
    }
  };
  const show = (row, force) => {
    const old = document.getElementById(row.id);
    if (old && old.dataset.stamp === row.dataset.stamp && !force) return;
    if (old && !force && inUse(old)) { markStale(old); return; }
    if (old) old.replaceWith(row);
    if (!place(row)) { location.reload(); return; }
    row.classList.add(old ? "changed" : "fresh");
    htmx.process(row);
    if (!old) toast(words.new.replace("{}", row.querySelector("a").textContent));
  };
  const update = async (ids, force) => {
    const list = board();
    const query = new URLSearchParams(list.dataset.query);
    if (ids) query.set("ids", ids.join(","));
    const found = await read(`/board/cases?${query}`);
    if (list !== board()) return update(ids, force);
    const rows = [...found.querySelectorAll("[data-case]")];
    const here = new Set(rows.map((row) => row.id));
    rows.forEach((row) => show(row, force));
    for (const old of ids ? ids.map((id) => document.getElementById(`case-${id}`)) : list.querySelectorAll("[data-case]")) {
      if (old && !here.has(old.id)) old.remove();
    }
    count();
    tick();
  };

  // The page of one case, and the one beside the board.
  const sheet = () => document.querySelector("[data-case-sheet]");
  const open = async (id, force) => {
    const old = sheet();
    if (old && old.dataset.caseSheet === id && !force && inUse(old)) { markStale(old); return; }
    const found = (await read(`/cases/${encodeURIComponent(id)}`)).querySelector("[data-case-sheet]");
    if (old && old.dataset.caseSheet === id && old.dataset.stamp === found.dataset.stamp && !force) return;
    if (old) old.replaceWith(found); else document.getElementById("panel").replaceChildren(found);
    htmx.process(found);
    tick();
  };
  const choose = (id) => {
    for (const row of document.querySelectorAll("[data-case]")) row.classList.toggle("chosen", row.dataset.case === id);
  };

  // Changes come as events; many at once are read together.
  const changed = new Set();
  let everything = false, reading = false;
  const refresh = async () => {
    if (reading || !(everything || changed.size)) return;
    reading = true;
    const ids = everything || changed.size > 100 ? null : [...changed];
    const shown = sheet()?.dataset.caseSheet;
    const touched = shown && (!ids || changed.has(shown));
    changed.clear();
    everything = false;
    try {
      if (board()) await update(ids);
      if (touched) await open(shown);
      if (!ids) await new Promise((done) => setTimeout(done, 500));
    } catch (error) {
      everything = true;
      await new Promise((done) => setTimeout(done, 2000));
    }
    reading = false;
    refresh();
  };
  let source = null, gathering = 0;
  const listen = () => {
    source = new EventSource("/v1/cases/stream");
    source.addEventListener("open", () => { alive(true); everything = true; refresh(); });
    source.addEventListener("case", (event) => {
      changed.add(JSON.parse(event.data).case.id);
      clearTimeout(gathering);
      gathering = setTimeout(refresh, 40);
      if (changed.size > 50) refresh();
    });
    source.addEventListener("error", () => {
      alive(false);
      if (source.readyState === EventSource.CLOSED) { source = null; setTimeout(() => { if (!source && !document.hidden) listen(); }, 3000); }
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; } else if (!source) listen();
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-open]") || (event.target.closest("a, button, form") ? null : event.target.closest("tr.case")?.querySelector("[data-open]"));
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      if (matchMedia("(min-width: 1100px)").matches) {
        choose(link.dataset.open);
        open(link.dataset.open, true).catch(() => location.assign(link.href));
      } else location.assign(link.href);
    }
    const again = event.target.closest("[data-refresh]");
    if (again) (board() && !sheet() ? update([again.dataset.refresh], true) : open(again.dataset.refresh, true)).catch(() => toast(words.failed));
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (board()) {
      for (const row of board().querySelectorAll("[data-case]")) {
        if (row.closest("[data-group]").dataset.group !== row.dataset.groupOf) place(row);
      }
      count();
    }
    tick();
  });
  document.addEventListener("htmx:sendError", () => toast(words.offline));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 500) { event.detail.shouldSwap = false; toast(words.failed); }
  });
  tick();
  setInterval(tick, 1000);
  listen();
})();
