// What moves on the pages. They work without this file: tables, forms and links are plain HTML.
"use strict";

// Rows that a live table keeps.
const MOST_ROWS = 200;

const find = (selector) => document.querySelector(selector);

/** A stream that is open while the page can be seen: a browser opens few connections to one server. */
function follow(address, events, onState) {
  let source = null;
  const open = () => {
    source = new EventSource(address);
    source.onopen = () => onState("live");
    source.onerror = () => {
      // Refused for good, as when too many pages are live; else the browser tries again.
      onState(source.readyState === EventSource.CLOSED ? "refused" : "lost");
    };
    for (const [name, take] of Object.entries(events)) {
      source.addEventListener(name, (event) => take(event.data));
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  if (!document.hidden) open();
}

/** Buttons that copy what stands before them. */
function copies() {
  if (!navigator.clipboard) return;
  for (const element of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(element.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    if (element.tagName === "PRE") {
      const line = document.createElement("div");
      line.className = "copy-line";
      line.append(button);
      element.after(line);
    } else {
      element.after(button);
    }
  }
}

/** New messages on top of a table. The server has escaped what is in the rows. */
function liveRows() {
  const live = find("#live");
  const rows = find("#rows");
  if (!live || !rows) return;
  const state = find("#live-state");
  const none = find("#none");
  const words = {
    live: "live",
    lost: "the connection is lost; trying again",
    refused: "not live: the server refused; close other live pages and load this one again",
  };
  let skipped = 0;
  let held = null;
  let current = "lost";
  const say = () => {
    const paused = held !== null;
    state.className = "live-dot" + (current === "live" && !paused ? " on" : "");
    state.textContent = (paused ? `paused, ${held.length} more` : words[current])
      + (skipped ? `; ${skipped.toLocaleString("en")} messages came too fast to be shown` : "");
  };
  const parse = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return [...template.content.children];
  };
  const put = (fresh) => {
    rows.prepend(...fresh);
    while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
    none.hidden = rows.children.length > 0;
  };
  const pause = document.createElement("button");
  pause.type = "button";
  pause.textContent = "Pause";
  pause.addEventListener("click", () => {
    if (held === null) {
      held = [];
    } else {
      put(held);
      held = null;
    }
    pause.textContent = held === null ? "Pause" : "Go on";
    say();
  });
  live.append(pause);
  say();
  follow(live.dataset.live, {
    newest: (html) => {
      if (held === null) {
        rows.replaceChildren();
        put(parse(html));
      }
      say();
    },
    rows: (html) => {
      const fresh = parse(html);
      for (const row of fresh) row.classList.add("fresh");
      setTimeout(() => fresh.forEach((row) => row.classList.remove("fresh")), 2000);
      if (held === null) put(fresh);
      else held = [...fresh, ...held].slice(0, MOST_ROWS);
      say();
    },
    skipped: (count) => {
      skipped += Number(count);
      say();
    },
    broken: () => { current = "lost"; say(); },
  }, (now) => { current = now; say(); });
}

/** The chart of messages a second, and the figures above it. */
function chart() {
  const place = find("#chart");
  if (!place || typeof uPlot === "undefined") return;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: () => colour("--quiet"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { stroke: () => colour("--line"), width: 1 },
  };
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
  const width = () => place.clientWidth - 20;
  const plot = new uPlot({
    width: width(),
    height: 220,
    legend: { show: false },
    cursor: { y: false },
    scales: { x: { range: (_, __, now) => [now - 300, now] }, y: { range: (_, __, most) => [0, Math.max(5, most * 1.1)] } },
    series: [{}, { stroke: () => colour("--accent"), fill: () => colour("--note-ground"), width: 2, points: { show: false } }],
    axes: [{ ...axis, incrs: [10, 30, 60, 120, 300], space: 80, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) }],
  }, [[], []], place);
  new ResizeObserver(() => plot.setSize({ width: width(), height: 220 })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
  let samples = [];
  const show = () => {
    plot.setData([samples.map((it) => it.at), samples.map((it) => it.rate)]);
    const newest = samples.at(-1);
    if (!newest) return;
    for (const name of ["rate", "stored", "dropped", "connections"]) {
      find("#figure-" + name).textContent = Math.round(newest[name]).toLocaleString("en");
    }
  };
  follow(place.dataset.live, {
    all: (text) => { samples = JSON.parse(text); show(); },
    sample: (text) => { samples = [...samples, JSON.parse(text)].slice(-300); show(); },
  }, () => {});
}

/** The send form remembers the last body of each topic while its tab is open, and says whether it is JSON. */
function sendForm() {
  const form = find("#send");
  if (!form) return;
  const { topic, body } = form.elements;
  const state = find("#body-state");
  const key = () => "body:" + topic.value.trim();
  const check = () => {
    const text = body.value.trim();
    let said = "";
    if (/^[{[]/.test(text)) {
      try {
        JSON.parse(text);
        said = "This is JSON.";
      } catch (error) {
        said = "This is not JSON: " + error.message;
      }
    }
    state.textContent = said;
  };
  let remembered = "";
  const recall = () => {
    // What somebody has written stays.
    if (body.value !== remembered) return;
    remembered = sessionStorage.getItem(key()) ?? "";
    body.value = remembered;
    check();
  };
  topic.addEventListener("change", recall);
  body.addEventListener("input", check);
  form.addEventListener("submit", () => sessionStorage.setItem(key(), body.value));
  recall();
  check();
}

copies();
liveRows();
chart();
sendForm();
