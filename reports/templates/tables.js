// Long tables by columns: filtered by words, sorted by a column, shown by pages; see tables.py.

const ROWS_A_PAGE = matchMedia("(max-width: 44rem)").matches ? 15 : 50; // on a phone a row is a card
const ROWS_ON_PAPER = 200;

const columnOf = (table, key) => table.columns.find((column) => column.key === key);

// A small price needs a third digit.
const digitsOf = (value, { units, digits }) => (units && Math.abs(value) < 10 ? 3 : digits);

// How a value of each kind is written, sorted (`key`) and searched (`find`, as written if not given); a kind may
// make its own cell. Headlines add theirs.
const KINDS = {
  time: { text: minuteText },
  day: { text: dayText },
  word: { text: word, key: word },
  number: { right: true, find: String },
};

const numberText = (column, value) => {
  if (column.exact) return String(value).replace("-", MINUS);
  if (column.percent) return (column.signed ? signed : figure)(value * 100, 1) + "%";
  return (column.signed ? signed : figure)(value, digitsOf(value, column));
};

const cellOf = (column, row) => {
  const value = column.values[row];
  const { cell: own, text: write } = KINDS[column.kind];
  if (own) return own(value);
  const cell = make("td", { "data-label": column.label });
  if (column.kind === "number") cell.className = "n";
  if (value === null) return cell;
  const dated = column.kind === "time" || column.kind === "day";
  if (write) cell.append(make("bdi", dated ? { class: "whole" } : {}, write(value)));
  else if (column.units) {
    const unit = make("small", {}, word(column.units[row]));
    cell.append(make("span", {}, unit, " " + numberText(column, value)));
  } else cell.append(numberText(column, value));
  return cell;
};

const textOf = (column, row) => {
  const value = column.values[row];
  if (value === null) return "";
  const { find, text: write } = KINDS[column.kind];
  return (column.units ? word(column.units[row]) + " " : "") + (find || write)(value);
};

// Rows without a value come last, whichever way the others go.
const sorted = (rows, column, down) => {
  const key = KINDS[column.kind].key || ((value) => value);
  const keys = new Map(rows.map((row) => [row, column.values[row] === null ? null : key(column.values[row])]));
  const way = down ? -1 : 1;
  return rows.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (x === y) return a - b;
    if (x === null || y === null) return x === null ? 1 : -1;
    return x < y ? -way : way;
  });
};

const showTable = (host) => {
  const table = data.tables[host.dataset.table];
  const { name, columns } = table;
  const count = columns[0].values.length;
  const state = { words: [], sort: -1, down: false, page: 0, size: ROWS_A_PAGE, only: null };
  let texts = null; // made when first needed
  const input = make("input", { type: "search", placeholder: "Filter " + name, "aria-label": "Filter " + name });
  const status = make("span", { role: "status" });
  const back = make("button", { type: "button" }, "Previous");
  const next = make("button", { type: "button" }, "Next");
  const body = make("tbody", {});

  const matches = (row) => {
    texts ||= Array.from({ length: count }, (_, at) =>
      columns.map((column) => textOf(column, at)).join(" ").toLowerCase());
    return state.words.every((part) => texts[row].includes(part));
  };
  const chosen = () => {
    const all = state.only || Array.from({ length: count }, (_, row) => row);
    const kept = state.words.length ? all.filter(matches) : [...all];
    return state.sort < 0 ? kept : sorted(kept, columns[state.sort], state.down);
  };
  const draw = () => {
    const kept = chosen();
    const pages = Math.max(1, Math.ceil(kept.length / state.size));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * state.size;
    const part = kept.slice(first, first + state.size);
    body.replaceChildren(...part.map((row) => make("tr", {}, ...columns.map((column) => cellOf(column, row)))));
    status.textContent = part.length
      ? figure(first + 1, 0) + " to " + figure(first + part.length, 0) + " of " + figure(kept.length, 0) + " " + name
        + (kept.length < count ? ", filtered from " + figure(count, 0) : "")
      : "no " + name + " match";
    back.disabled = state.page === 0;
    next.disabled = state.page >= pages - 1;
  };

  const heads = columns.map(({ label, kind }, at) => {
    const button = make("button", { type: "button" }, label);
    const head = make("th", { scope: "col", class: KINDS[kind].right ? "n" : "" }, button);
    button.addEventListener("click", () => {
      state.down = state.sort === at && !state.down;
      state.sort = at;
      state.page = 0;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      draw();
    });
    return head;
  });
  input.addEventListener("input", () => {
    state.words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.page = 0;
    draw();
  });
  back.addEventListener("click", () => { state.page -= 1; draw(); });
  next.addEventListener("click", () => { state.page += 1; draw(); });
  // On paper there is no next page: the rows chosen, from the first, as many as paper is worth.
  const page = { kept: 0 };
  const show = (size, from) => { Object.assign(state, { size, page: from }); draw(); };
  addEventListener("beforeprint", () => { page.kept = state.page; show(ROWS_ON_PAPER, 0); });
  addEventListener("afterprint", () => show(ROWS_A_PAGE, page.kept));

  const shown = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
  host.append(make("div", { class: "bar" }, input, status, back, next),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, shown));
  draw();
  return { only: (rows) => { Object.assign(state, { only: rows, page: 0 }); draw(); } };
};
