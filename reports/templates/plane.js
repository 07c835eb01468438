// The parameter plane: a grid of medians over two chosen axes, walked by arrow keys.

const SHADES = 4;

const medianOf = (values) => {
  const sorted_ = [...values].sort((a, b) => a - b);
  const half = sorted_.length >> 1;
  return sorted_.length % 2 ? sorted_[half] : (sorted_[half - 1] + sorted_[half]) / 2;
};

// Rows of each cell, and the median of those that have the measure.
const cellsOf = (across, down, values) => {
  const cells = new Map();
  values.forEach((value, row) => {
    const key = (down ? down.places[row] : 0) * across.names.length + across.places[row];
    if (!cells.has(key)) cells.set(key, { rows: [], values: [] });
    cells.get(key).rows.push(row);
    if (value !== null) cells.get(key).values.push(value);
  });
  for (const cell of cells.values()) cell.median = cell.values.length ? medianOf(cell.values) : null;
  return cells;
};

// About zero: gain above, loss below, by the size of the largest. Else: from the worst to the best.
const shadeOf = (value, { zero, less }, medians) => {
  if (value === null) return "";
  const [low, high] = [Math.min(...medians), Math.max(...medians)];
  const level = (part) => 1 + Math.min(SHADES - 1, Math.floor(part * SHADES));
  if (zero) return value ? `heat-${value > 0 ? "gain" : "loss"}-${level(Math.abs(value) / Math.max(-low, high))}` : "";
  const part = high > low ? (value - low) / (high - low) : 1;
  return `heat-gain-${level(less ? 1 - part : part)}`;
};

const choice = (bar, label, options, chosen, changed) => {
  const select = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
  select.value = chosen;
  select.addEventListener("change", () => changed(select.value));
  bar.append(make("label", {}, label + " ", select));
  return select;
};

const describe = (key, cell, { across, down, measure, column }) => {
  const width = across.names.length;
  const where = [`${across.name} ${across.names[key % width]}`,
    down && `${down.name} ${down.names[Math.floor(key / width)]}`].filter(Boolean).join(", ");
  if (!cell) return where + ": no configuration";
  const many = counted(cell.rows.length, "configuration");
  if (!cell.values.length) return `${where}: ${many}, none with a figure`;
  const [low, high] = [Math.min(...cell.values), Math.max(...cell.values)].map((value) => numberText(column, value));
  return `${where}: ${measure.label} ${numberText(column, cell.median)}, the median of ${many} from ${low} to ${high}`;
};

// The grid as a table, and its cells in reading order; `on` is told of cells that are pointed at or chosen.
const gridOf = (shown, cells, on) => {
  const { across, down, measure, column } = shown;
  const medians = [...cells.values()].map((cell) => cell.median).filter((value) => value !== null);
  const made = [];
  const cellAt = (key) => {
    const value = cells.has(key) ? cells.get(key).median : null;
    const shade = "n " + shadeOf(value, measure, medians);
    const element = make("td", { role: "gridcell", class: shade, tabindex: key ? "-1" : "0" },
      value === null ? "" : numberText(column, value));
    element.addEventListener("focus", () => on.focus(key));
    element.addEventListener("pointerenter", (event) => on.point(key, event));
    element.addEventListener("click", () => on.choose(key));
    made.push(element);
    return element;
  };
  const rows = (down ? down.names : [""]).map((name, y) => make("tr", { role: "row" },
    make("th", { scope: "row", role: "rowheader" }, name),
    ...across.names.map((_, x) => cellAt(y * across.names.length + x))));
  const corner = (down ? down.name + " \u2193 " : "") + across.name + " \u2192";
  const head = make("tr", { role: "row" }, make("th", { scope: "col", role: "columnheader" }, corner),
    ...across.names.map((name) => make("th", { scope: "col", role: "columnheader", class: "n" }, name)));
  const label = `${measure.label} by ${across.name}${down ? " and " + down.name : ""}`;
  const table = make("table", { role: "grid", class: "plane", "aria-label": label },
    make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...rows));
  return { table, made };
};

// One cell can be tabbed to; arrow keys move which.
const walk = (made, width, event) => {
  const at = made.indexOf(document.activeElement);
  const x = at % width;
  const to = {
    ArrowLeft: x > 0 ? at - 1 : at, ArrowRight: x < width - 1 ? at + 1 : at,
    ArrowUp: at >= width ? at - width : at, ArrowDown: at + width < made.length ? at + width : at,
  }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  made[at].tabIndex = -1;
  made[to].tabIndex = 0;
  made[to].focus();
};

const showPlane = (table) => {
  const { axes, measures } = data.plane;
  const [bar, grid, told] = ["plane-bar", "plane-grid", "plane-told"].map((id) => document.getElementById(id));
  const state = { across: 0, down: axes.length > 1 ? 1 : -1, measure: 0, only: -1 };

  const draw = () => {
    const measure = measures[state.measure];
    const column = columnOf(data.tables.rows, measure.key);
    const shown = { across: axes[state.across], down: axes[state.down], measure, column };
    const cells = cellsOf(shown.across, shown.down, column.values);
    const tell = (key) => describe(key, cells.get(key), shown);
    const choose = (key) => {
      state.only = state.only === key ? -1 : key;
      built.made.forEach((element, other) => element.toggleAttribute("data-only", other === state.only));
      table.only(state.only < 0 ? null : cells.has(key) ? cells.get(key).rows : []);
      told.textContent = state.only < 0 ? "The table of all rows shows all again."
        : tell(key) + ". The table of all rows shows only these; once more shows all.";
    };
    const built = gridOf(shown, cells, {
      focus: (key) => { told.textContent = tell(key); },
      point: (key, event) => showTip([tell(key)], event.clientX, event.clientY),
      choose,
    });
    built.table.addEventListener("pointerleave", hideTip);
    built.table.addEventListener("keydown", (event) => {
      const at = built.made.indexOf(document.activeElement);
      if (event.key === "Enter" && at >= 0) choose(at);
      else walk(built.made, shown.across.names.length, event);
    });
    told.textContent = "";
    grid.replaceChildren(built.table);
  };

  const again = (change) => { Object.assign(state, change, { only: -1 }); table.only(null); draw(); };
  const names = axes.map(({ name }, at) => [at, name]);
  const acrossSelect = choice(bar, "Across", names, 0, (value) => {
    const across = Number(value);
    const down = state.down === across ? state.across : state.down;
    if (downSelect) downSelect.value = down;
    again({ across, down });
  });
  const downSelect = axes.length > 1 && choice(bar, "Down", names, 1, (value) => {
    const down = Number(value);
    const across = state.across === down ? state.down : state.across;
    acrossSelect.value = across;
    again({ across, down });
  });
  choice(bar, "Measure", measures.map(({ label }, at) => [at, label]), 0, (value) => again({ measure: Number(value) }));
  draw();
};
