// Charts: drawn by Vega from the page's specifications, zoomed together, with headlines that can be walked through.

const views = new Map(); // by name: { view, host, first, last, marks, picked }
const fitted = []; // { view, host } of every chart, which paper makes narrower
const NARROWEST_DAYS = 5;

const rowsOf = ({ days, series }) =>
  days.map((day, i) => Object.assign({ day: day * DAY_MS }, ...series.map((values, n) => ({ ["s" + n]: values[i] }))));

// The tip of Vega is ours: text nodes only, in the page's own style; marks and fills bring their own lines.
const vegaTip = (_, event, item, value) => {
  const mark = item && item.datum && item.datum.lines;
  if (mark) showTip(mark, event.clientX, event.clientY);
  else if (value && typeof value === "object") {
    showTip(Object.entries(value).map(([label, text]) => [label, String(text)]), event.clientX, event.clientY);
  } else hideTip();
};

const OPTIONS = {
  ast: true, // no compiled expressions, which the page's policy forbids
  actions: false,
  renderer: "svg",
  defaultStyle: false,
  logLevel: 1, // errors only: an empty set of marks is none
  tooltip: vegaTip,
};

// --- zoom: one span of days for all charts ---

let span = null;
const setSpan = (wanted) => {
  const charts = [...views.values()];
  const first = Math.min(...charts.map((chart) => chart.first));
  const last = Math.max(...charts.map((chart) => chart.last));
  if (wanted) {
    const width = Math.max(wanted[1] - wanted[0], NARROWEST_DAYS * DAY_MS);
    const from = Math.max(first, Math.min(wanted[0], last - width));
    span = width >= last - first ? null : [from, from + width];
  } else span = null;
  for (const { view } of charts) view.signal("span", span).resize().runAsync();
};

const whole = ({ first, last }) => span || [first, last];

const zoomBy = (chart, factor, at) => {
  const [from, to] = whole(chart);
  const centre = at === undefined ? (from + to) / 2 : at;
  setSpan([centre - (centre - from) * factor, centre + (to - centre) * factor]);
};

const dayUnder = (chart, event) => {
  const { view, host } = chart;
  const x = event.clientX - host.querySelector("svg").getBoundingClientRect().left - view.origin()[0];
  return view.scale("x").invert(x).valueOf();
};

const letZoom = (chart) => {
  const { host } = chart;
  // The wheel scrolls the page until the reader has clicked into the chart or tabbed to it.
  host.addEventListener("wheel", (event) => {
    if (document.activeElement !== host && !event.ctrlKey) return;
    event.preventDefault();
    zoomBy(chart, event.deltaY > 0 ? 1.25 : 0.8, dayUnder(chart, event));
  }, { passive: false });
  let held = null;
  host.addEventListener("pointerdown", (event) => {
    if (event.button === 0) held = { x: event.clientX, span: whole(chart) };
  });
  addEventListener("pointermove", (event) => {
    if (!held || !span) return;
    const days = (held.span[1] - held.span[0]) * (event.clientX - held.x) / chart.view.width();
    setSpan([held.span[0] - days, held.span[1] - days]);
  });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { held = null; });
  host.addEventListener("dblclick", () => setSpan(null));
  host.addEventListener("pointerleave", hideTip);
  host.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.target !== host || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    DEEDS[act](chart);
  });
  for (const button of host.parentElement.querySelectorAll("button")) {
    button.addEventListener("click", () => DEEDS[button.dataset.do](chart));
  }
};

const DEEDS = {
  in: (chart) => zoomBy(chart, 0.6),
  out: (chart) => zoomBy(chart, 1 / 0.6),
  all: () => setSpan(null),
  back: (chart) => step(chart, -1),
  next: (chart) => step(chart, 1),
  quiet: hideTip,
};
const KEYS = { "+": "in", "=": "in", "-": "out", 0: "all", ArrowLeft: "back", ArrowRight: "next", Escape: "quiet" };

// --- headlines in a chart ---

// What a headline led to: "bought NVDA; sold AMD", from the fills that it stands first behind.
const DONE = { buy: "bought", sell: "sold" };
let doneBy = null;
const consequences = (place) => {
  if (!doneBy) {
    doneBy = new Map();
    const fills = data.tables.fills;
    const causes = columnOf(fills, "causes");
    const [sides, instruments] = [columnOf(fills, "side").values, columnOf(fills, "instrument").values];
    (causes ? causes.values : []).forEach(([count, reading], row) => {
      if (!count) return;
      const key = data.readings.headline[reading];
      if (!doneBy.has(key)) doneBy.set(key, new Map());
      const done = doneBy.get(key);
      const what = (DONE[word(sides[row])] || word(sides[row])) + " " + word(instruments[row]);
      done.set(what, (done.get(what) || 0) + 1);
    });
  }
  const done = [...(doneBy.get(place) || new Map())].map(([what, count]) => (count > 1 ? `${what} ${count} times` : what));
  return done.length > 6 ? [...done.slice(0, 6), `${done.length - 6} more`].join(", ") : done.join(", ");
};

const markOf = (place, n, where) => {
  const found = headline(place);
  const origin = joined(found.source, found.known && "known from " + found.known + " UTC");
  return { n, place, ...where, lines: [found.title, origin, consequences(place)].filter(Boolean) };
};

const tell = (chart, n) => {
  chart.picked = n;
  chart.view.signal("picked", n).runAsync();
  const told = document.getElementById(chart.name + "-told");
  const found = headline(chart.marks[n].place);
  told.replaceChildren(make("span", { class: "diamond", "aria-hidden": "true" }), titleOf(found), originOf(found),
    make("div", { class: "meta" }, consequences(chart.marks[n].place)));
};

const step = (chart, way) => {
  const [from, to] = whole(chart);
  const seen = chart.marks.filter(({ day }) => day >= from && day <= to).map(({ n }) => n);
  if (!seen.length) return;
  const at = seen.indexOf(chart.picked);
  tell(chart, seen[at < 0 ? (way > 0 ? 0 : seen.length - 1) : (at + way + seen.length) % seen.length]);
};

const setMarks = (chart, marks) => {
  Object.assign(chart, { marks, picked: -1 });
  chart.view.signal("picked", -1).data("marks", marks);
  const told = document.getElementById(chart.name + "-told");
  if (told) told.replaceChildren();
};

// The first day of `days` that is not before `day`.
const placeOf = (days, day) => {
  const found = days.findIndex((other) => other >= day);
  return found < 0 ? days.length - 1 : found;
};

// --- drawing ---

const draw = async (host) => {
  const name = host.dataset.chart;
  const chart = data.charts[name];
  const spec = { ...chart.spec, datasets: { curve: rowsOf(chart), marks: [], buy: [], sell: [] } };
  const { view } = await vegaEmbed(host, spec, OPTIONS);
  const days = chart.days.length ? chart.days : data.prices.days.map((day) => day + data.epoch);
  const drawn = { name, host, view, first: days[0] * DAY_MS, last: days[days.length - 1] * DAY_MS, marks: [], picked: -1 };
  views.set(name, drawn);
  fitted.push(drawn);
  letZoom(drawn);
  view.addEventListener("click", (_, item) => {
    if (item && item.datum && item.datum.place !== undefined) tell(drawn, item.datum.n);
  });
  return drawn;
};

const markEquity = (chart) => {
  const { days, series } = data.charts.equity;
  const marks = data.marks.map((place, n) => {
    const at = placeOf(days, data.epoch + Math.floor(data.headlines.known[place] / 1440));
    return markOf(place, n, { day: days[at] * DAY_MS, s0: series[0][at] });
  });
  setMarks(chart, marks);
  return chart.view.runAsync();
};

const fitToPaper = () => {
  for (const { view, host } of fitted) {
    Object.assign(host.dataset, { width: view.width() });
    view.width(640).run();
  }
};
const fitToScreen = () => {
  for (const { view, host } of fitted) view.width(Number(host.dataset.width)).run();
};
