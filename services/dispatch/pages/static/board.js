// Keeps the page up to date: deadlines count down, cases that change are rendered anew, one by one. What
// somebody is typing into is never replaced.
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
    for (const cell of document.querySelectorAll("[data-due]")) {
      const left = Date.parse(cell.dataset.due) - now;
      const text = (left >= 0 ? words.left : words.over).replace("{}", duration(Math.floor(Math.abs(left) / 1000)));
      if (cell.textContent !== text) cell.textContent = text;
      cell.classList.toggle("bad", left < 0);
      cell.classList.toggle("warn", left >= 0 && Date.parse(cell.dataset.warn) <= now);
    }
    const late = document.querySelectorAll("[data-board] .due.bad").length, note = document.getElementById("late");
    if (note) { note.hidden = !late; note.firstElementChild.textContent = words.late.replace("{}", late); }
  };

  // Messages.
  let hiding = 0;
  const showToast = (text) => {
    const toast = document.getElementById("toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => { toast.hidden = true; }, 6000);
  };
  const setLive = (isLive) => {
    for (const state of document.querySelectorAll("[data-live-state]")) {
      state.dataset.liveState = isLive ? "on" : "lost";
      state.querySelector("[data-live-text]").textContent = isLive ? words.live : words.lost;
    }
  };

  // Reading parts of pages.
  const fetchPart = async (address) => {
    const reply = await fetch(address, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
    if (reply.status === 401) location.assign(reply.headers.get("HX-Redirect") || "/sign-in");
    if (!reply.ok) throw new Error(String(reply.status));
    const holder = document.createElement("template");
    holder.innerHTML = await reply.text();
    return holder.content;
  };
  const inUse = (element) => element.contains(document.activeElement)
    && document.activeElement.matches("input, textarea, select")
    || [...element.querySelectorAll("textarea, input:not([type=hidden]):not([type=radio])")].some((f) => f.value !== f.defaultValue)
    || [...element.querySelectorAll("input[type=radio]")].some((f) => f.checked !== f.defaultChecked)
    || element.querySelector("details.ask[open]") !== null
    || element.querySelector(".htmx-request") !== null || element.classList.contains("htmx-request");
  const markStale = (element) => { const note = element.querySelector(".stale"); if (note) note.hidden = false; };

  // The board: each case is put into its group, in the order of their deadlines.
  const board = () => document.querySelector("[data-board]");
  const insertRow = (row) => {
    const group = board().querySelector(`[data-group="${CSS.escape(row.dataset.groupOf)}"]`);
    if (!group) return false;
    const after = [...group.querySelectorAll(":scope > [data-case]")].find((other) => other !== row && other.dataset.order > row.dataset.order);
    group.insertBefore(row, after || null);
    return true;
  };
  const updateCounts = () => {
    const total = document.querySelector("[data-total]");
    if (total) total.textContent = board().querySelectorAll("[data-case]").length;
    for (const group of board().querySelectorAll("[data-group]")) {
      group.querySelector("[data-count]").textContent = group.querySelectorAll("[data-case]").length;
    }
  };
  const showRow = (row, force) => {
    const old = document.getElementById(row.id);
    if (old && old.dataset.stamp === row.dataset.stamp && !force) return;
    if (old && !force && inUse(old)) { markStale(old); return; }
    if (old) old.replaceWith(row);
    if (!insertRow(row)) { location.reload(); return; }
    row.classList.add(old ? "changed" : "fresh");
    htmx.process(row);
    if (!old) showToast(words.new.replace("{}", row.querySelector("a").textContent));
  };
  const updateBoard = async (ids, force) => {
    const list = board();
    const query = new URLSearchParams(list.dataset.query);
    if (ids) query.set("ids", ids.join(","));
    const part = await fetchPart(`/board/cases?${query}`);
    if (list !== board()) return updateBoard(ids, force);
    const rows = [...part.querySelectorAll("[data-case]")];
    const present = new Set(rows.map((row) => row.id));
    rows.forEach((row) => showRow(row, force));
    for (const old of ids ? ids.map((id) => document.getElementById(`case-${id}`)) : list.querySelectorAll("[data-case]")) {
      if (old && !present.has(old.id)) old.remove();
    }
    updateCounts();
    tick();
  };

  // The page of one case, and the one beside the board.
  const sheet = () => document.querySelector("[data-case-sheet]");
  const openCase = async (id, force) => {
    const old = sheet();
    if (old && old.dataset.caseSheet === id && !force && inUse(old)) { markStale(old); return; }
    const fresh = (await fetchPart(`/cases/${encodeURIComponent(id)}`)).querySelector("[data-case-sheet]");
    if (old && old.dataset.caseSheet === id && old.dataset.stamp === fresh.dataset.stamp && !force) return;
    if (old) old.replaceWith(fresh); else document.getElementById("panel").replaceChildren(fresh);
    htmx.process(fresh);
    tick();
  };
  const markChosen = (id) => {
    for (const row of document.querySelectorAll("[data-case]")) row.classList.toggle("chosen", row.dataset.case === id);
  };

  // Changes come as events; many at once are read together.
  const changed = new Set();
  let everything = false, reading = false;
  const refresh = async () => {
    if (reading || !(everything || changed.size)) return;
    reading = true;
    const ids = everything || changed.size > 100 ? null : [...changed];
    const opened = sheet()?.dataset.caseSheet;
    const touched = opened && (!ids || changed.has(opened));
    changed.clear();
    everything = false;
    try {
      if (board()) await updateBoard(ids);
      if (touched) await openCase(opened);
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
    source.addEventListener("open", () => { setLive(true); everything = true; refresh(); });
    source.addEventListener("case", (event) => {
      changed.add(JSON.parse(event.data).case.id);
      clearTimeout(gathering);
      gathering = setTimeout(refresh, 40);
      if (changed.size > 50) refresh();
    });
    source.addEventListener("error", () => {
      setLive(false);
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
        markChosen(link.dataset.open);
        openCase(link.dataset.open, true).catch(() => location.assign(link.href));
      } else location.assign(link.href);
    }
    const again = event.target.closest("[data-refresh]");
    if (again) (board() && !sheet() ? updateBoard([again.dataset.refresh], true) : openCase(again.dataset.refresh, true)).catch(() => showToast(words.failed));
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (board()) {
      for (const row of board().querySelectorAll("[data-case]")) {
        if (row.closest("[data-group]").dataset.group !== row.dataset.groupOf) insertRow(row);
      }
      updateCounts();
    }
    tick();
  });
  document.addEventListener("htmx:sendError", () => showToast(words.offline));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 500) { event.detail.shouldSwap = false; showToast(words.failed); }
  });
  tick();
  setInterval(tick, 1000);
  listen();
})();
