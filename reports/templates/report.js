"use strict";
// Draws the charts and shows the long tables by pages. Foreign text goes into text nodes only, never into markup.
(() => {
  const ROWS_A_PAGE = 50;
  const ROWS_ON_PAPER = 1000;
  const MINUS = "\u2212";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  const figure = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);

  const signed = (value) => (value > 0 ? "+" : "") + figure(value, 2);

  // --- causes: [how many, [reading, strength, theme, relation], ...], see tables.py ---

  const joined = (...parts) => parts.filter(Boolean).join(" · ");
  const spaced = (word) => word.replaceAll("_", " ");

  const causeOf = ([place, strength, theme, relation], { readings, headlines, words }) => {
    const [headline, issuer, model, event, negative, neutral, positive] = readings[place];
    const [title, source, url, published, available] = headlines[headline];
    return {
      title, source, url, published, available, strength, negative, neutral, positive,
      theme: words[theme], relation: words[relation], issuer: words[issuer], model: words[model], event: words[event],
    };
  };

  const titleOf = ({ title, url }) =>
    url ? make("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, title) : make("span", {}, title);

  const originOf = ({ source, published, available }) => {
    const times = [published && "published " + published, available && "known from " + available + " UTC"];
    const parts = times.filter(Boolean).map((time) => make("span", { class: "whole" }, time));
    if (source) parts.unshift(make("span", {}, source));
    return make("div", { class: "meta" }, ...parts.flatMap((part, at) => (at ? [" · ", part] : [part])));
  };

  const bearingOf = ({ issuer, theme, strength }) =>
    issuer + (theme === "none" ? "" : ", " + spaced(theme)) + ", signal " + signed(strength);

  const readingOf = ({ model, negative, neutral, positive, event }) =>
    negative === null ? model : joined(
      `${model} read ${negative}% negative, ${neutral}% neutral, ${positive}% positive`, event && spaced(event));

  const causeCell = ([count, ...shown], lookup) => {
    const cell = make("td", { class: "causes" });
    if (!count) {
      cell.append(make("span", { class: "meta" }, "no headline"));
      return cell;
    }
    const causes = shown.map((cause) => causeOf(cause, lookup));
    cell.append(titleOf(causes[0]), originOf(causes[0]));
    const items = causes.map((cause, number) => {
      const line = make("div", { class: "meta" }, joined(bearingOf(cause), cause.relation, readingOf(cause)));
      return number ? make("li", {}, titleOf(cause), originOf(cause), line) : make("li", {}, line);
    });
    const left = count - causes.length;
    const more = left > 0 ? [make("p", { class: "meta" }, figure(left, 0) + " weaker in report.json")] : [];
    const rest = count > 1 ? `; ${count - 1} more headline${count > 2 ? "s" : ""}` : "";
    const summary = make("summary", {}, bearingOf(causes[0]) + rest);
    cell.append(make("details", {}, summary, make("ol", {}, ...items), ...more));
    return cell;
  };

  const causeText = ([, ...shown], lookup) =>
    shown.map((cause) => causeOf(cause, lookup))
      .map(({ title, source, issuer, theme, event }) => joined(title, source, issuer, theme, event)).join(" ");

  // --- long tables ---

  const cellOf = (value, [label, kind, digits], lookup) => {
    if (kind === "causes") return causeCell(value, lookup);
    const cell = make("td", { "data-label": label });
    if (kind === "text") cell.append(value);
    else {
      cell.className = "n";
      if (value === null) cell.append("");
      else if (kind === "number") cell.append(figure(value, digits));
      else cell.append(make("span", {}, make("small", {}, value[1]), " " + figure(value[0], digits)));
    }
    return cell;
  };

  const textOf = (row, { columns, lookup }) =>
    row.map((value, i) => columns[i][1] === "causes" ? causeText(value, lookup)
      : columns[i][1] === "price" ? value[1] : String(value)).join(" ").toLowerCase();

  const keyOf = (value, kind, lookup) =>
    kind === "price" ? value[0] : value === null ? 0 : kind === "causes" ? causeText(value, lookup) : value;

  const show = (host) => {
    const data = read(host.dataset.table);
    const name = host.dataset.name;
    const { columns, rows, lookup } = data;
    const texts = rows.map((row) => textOf(row, data));
    const state = { words: [], sort: -1, down: false, page: 0, size: ROWS_A_PAGE };
    const input = make("input", { type: "search", placeholder: "Filter " + name, "aria-label": "Filter " + name });
    const status = make("span", { role: "status" });
    const back = make("button", { type: "button" }, "Previous");
    const next = make("button", { type: "button" }, "Next");
    const body = make("tbody", {});

    const chosen = () => {
      const kept = rows.map((_, i) => i).filter((i) => state.words.every((word) => texts[i].includes(word)));
      if (state.sort < 0) return kept;
      const keys = rows.map((row) => keyOf(row[state.sort], columns[state.sort][1], lookup));
      const way = state.down ? -1 : 1;
      return kept.sort((a, b) => (keys[a] < keys[b] ? -way : keys[a] > keys[b] ? way : a - b));
    };
    const draw = () => {
      const kept = chosen();
      const pages = Math.max(1, Math.ceil(kept.length / state.size));
      state.page = Math.min(state.page, pages - 1);
      const first = state.page * state.size;
      const part = kept.slice(first, first + state.size);
      body.replaceChildren(...part.map((i) =>
        make("tr", {}, ...rows[i].map((value, at) => cellOf(value, columns[at], lookup)))));
      status.textContent = part.length
        ? figure(first + 1, 0) + " to " + figure(first + part.length, 0) + " of " + figure(kept.length, 0) + " " + name
        : "no " + name + " match";
      back.disabled = state.page === 0;
      next.disabled = state.page >= pages - 1;
    };

    const heads = columns.map(([label, kind], at) => {
      const button = make("button", { type: "button" }, label);
      const right = kind === "number" || kind === "price";
      const head = make("th", { scope: "col", class: right ? "n" : "" }, button);
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
    addEventListener("beforeprint", () => { state.size = ROWS_ON_PAPER; draw(); });
    addEventListener("afterprint", () => { state.size = ROWS_A_PAGE; draw(); });

    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
    host.append(make("div", { class: "bar" }, input, status, back, next),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table));
    draw();
  };

  for (const host of document.querySelectorAll(".long")) show(host);

  const options = {
    ast: true, // no compiled expressions, which the page's policy forbids
    actions: false,
    renderer: "svg",
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };
  for (const [name, chart] of Object.entries(read("charts-data"))) {
    vegaEmbed("#" + name + "-chart", chart, options);
  }
})();
