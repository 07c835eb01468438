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

const showPlane = (table) => {
  const { axes, measures } = data.plane;
  const [bar, grid, told] = ["plane-bar", "plane-grid", "plane-told"].map((id) => document.getElementById(id));
  const state = { across: 0, down: axes.length > 1 ? 1 : -1, measure: 0, at: 0, only: -1 };

  const describe = (key, cell, across, down, measure) => {
    const column = columnOf(data.tables.rows, measure.key);
    const where = [`${across.name} ${across.names[key % across.names.length]}`,
      down && `${down.name} ${down.names[Math.floor(key / across.names.length)]}`].filter(Boolean).join(", ");
    if (!cell) return where + ": no configuration";
    const many = counted(cell.rows.length, "configuration");
    if (!cell.values.length) return `${where}: ${many}, none with a figure`;
    const [low, high] = [Math.min(...cell.values), Math.max(...cell.values)].map((value) => numberText(column, value));
    return `${where}: ${measure.label} ${numberText(column, cell.median)}, the median of ${many} from ${low} to ${high}`;
  };

  const draw = () => {
    const [across, down, measure] = [axes[state.across], axes[state.down], measures[state.measure]];
    const column = columnOf(data.tables.rows, measure.key);
    const cells = cellsOf(across, down, column.values);
    const medians = [...cells.values()].map((cell) => cell.median).filter((value) => value !== null);
    const [width, height] = [across.names.length, down ? down.names.length : 1];
    const made = [];
    const rows = Array.from({ length: height }, (_, y) => {
      const line = Array.from({ length: width }, (_, x) => {
        const key = y * width + x;
        const cell = cells.get(key);
        const value = cell ? cell.median : null;
        const element = make("td", { role: "gridcell", class: "n " + shadeOf(value, measure, medians), tabindex: key === state.at ? "0" : "-1" },
          value === null ? "" : numberText(column, value));
        element.addEventListener("focus", () => { told.textContent = describe(key, cell, across, down, measure); });
        element.addEventListener("pointerenter", (event) => showTip([describe(key, cell, across, down, measure)], event.clientX, event.clientY));
        element.addEventListener("click", () => only(key, cell));
        made.push(element);
        return element;
      });
      return make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, down ? down.names[y] : ""), ...line);
    });
    const only = (key, cell) => {
      state.only = state.only === key ? -1 : key;
      made.forEach((element, other) => element.toggleAttribute("data-only", other === state.only));
      table.only(state.only < 0 ? null : cell ? cell.rows : []);
      told.textContent = state.only < 0 ? "The table below shows all rows."
        : describe(key, cell, across, down, measure) + ". The table below shows only these; once more shows all.";
    };
    const head = make("tr", { role: "row" },
      make("th", { scope: "col", role: "columnheader" }, (down ? down.name + " \u2193 " : "") + across.name + " \u2192"),
      ...across.names.map((name) => make("th", { scope: "col", role: "columnheader", class: "n" }, name)));
    const shown = make("table", { role: "grid", class: "plane", "aria-label": `${measure.label} by ${across.name}${down ? " and " + down.name : ""}` },
      make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...rows));
    shown.addEventListener("pointerleave", hideTip);
    shown.addEventListener("keydown", (event) => {
      const at = made.indexOf(document.activeElement);
      const [x, y] = [at % width, Math.floor(at / width)];
      const to = {
        ArrowLeft: x > 0 ? at - 1 : at, ArrowRight: x < width - 1 ? at + 1 : at,
        ArrowUp: y > 0 ? at - width : at, ArrowDown: y < height - 1 ? at + width : at,
      }[event.key];
      if (at < 0 || (to === undefined && event.key !== "Enter")) return;
      event.preventDefault();
      if (event.key === "Enter") { only(at, cells.get(at)); return; }
      made[at].tabIndex = -1;
      made[to].tabIndex = 0;
      state.at = to;
      made[to].focus();
    });
    told.textContent = "";
    grid.replaceChildren(shown);
  };

  const again = (change) => { Object.assign(state, change, { at: 0, only: -1 }); table.only(null); draw(); };
  const names = axes.map(({ name }, at) => [at, name]);
  choice(bar, "Across", names, 0, (value) => {
    const across = Number(value);
    const down = state.down === across ? state.across : state.down;
    if (downSelect) downSelect.value = down;
    again({ across, down });
  });
  const downSelect = axes.length > 1 && choice(bar, "Down", names, 1, (value) => {
    const down = Number(value);
    const across = state.across === down ? state.down : state.across;
    bar.querySelector("select").value = across;
    again({ across, down });
  });
  choice(bar, "Measure", measures.map(({ label }, at) => [at, label]), 0, (value) => again({ measure: Number(value) }));
  draw();
};
