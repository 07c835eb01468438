// Headlines, readings and causes as elements; see tables.py for how they are stored.

const publishedText = (place) => {
  const { published, by_day } = data.headlines;
  if (place in by_day) {
    const [day, zone] = by_day[place];
    return `${dayText(day)} (day of ${word(zone)})`;
  }
  return published[place] === null ? "" : minuteText(published[place]);
};

const headline = (place) => {
  const { title, source, host, path, known } = data.headlines;
  return {
    title: title[place],
    source: word(source[place]),
    url: host[place] === null ? "" : word(host[place]) + path[place],
    published: publishedText(place),
    known: known[place] === null ? "" : minuteText(known[place]),
  };
};

// A cause is four numbers in a row of the column: reading, strength, theme, relation.
const causesOf = ([, ...numbers]) => {
  const found = [];
  for (let at = 0; at < numbers.length; at += 4) {
    const [reading, strength, theme, relation] = numbers.slice(at, at + 4);
    const r = data.readings;
    found.push({
      ...headline(r.headline[reading]),
      place: r.headline[reading], strength, theme: word(theme), relation: word(relation),
      issuer: word(r.issuer[reading]), model: word(r.model[reading]), event: word(r.event[reading]),
      negative: r.negative[reading], neutral: r.neutral[reading], positive: r.positive[reading],
    });
  }
  return found;
};

// A title may hold marks that turn the direction of text: bdi keeps them inside.
const titleOf = ({ title, url }) => {
  const text = make("bdi", { dir: "auto" }, title);
  return url ? make("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, text) : text;
};

const originOf = ({ source, published, known }) => {
  const times = [published && "published " + published, known && "known from " + known + " UTC"];
  const parts = times.filter(Boolean).map((time) => make("span", { class: "whole" }, time));
  if (source) parts.unshift(make("bdi", {}, source));
  return make("div", { class: "meta" }, ...parts.flatMap((part, at) => (at ? [" · ", part] : [part])));
};

const bearingOf = ({ issuer, theme, strength }) =>
  issuer + (theme === "none" ? "" : ", " + spaced(theme)) + ", signal " + signed(strength, 2);

const readingOf = ({ model, negative, neutral, positive, event }) =>
  negative === null ? model : joined(
    `${model} read ${negative}% negative, ${neutral}% neutral, ${positive}% positive`, event && spaced(event));

const causeCell = (value) => {
  const cell = make("td", { class: "causes" });
  const [count] = value;
  if (!count) {
    cell.append(make("span", { class: "meta" }, "no headline"));
    return cell;
  }
  const causes = causesOf(value);
  cell.append(titleOf(causes[0]), originOf(causes[0]));
  const items = causes.map((cause, number) => {
    const line = make("div", { class: "meta" }, joined(bearingOf(cause), cause.relation, readingOf(cause)));
    return number ? make("li", {}, titleOf(cause), originOf(cause), line) : make("li", {}, line);
  });
  const left = count - causes.length;
  const more = left > 0 ? [make("p", { class: "meta" }, figure(left, 0) + " weaker in report.json")] : [];
  const rest = count > 1 ? `; ${counted(count - 1, "more headline")}` : "";
  const summary = make("summary", {}, bearingOf(causes[0]) + rest);
  cell.append(make("details", {}, summary, make("ol", {}, ...items), ...more));
  return cell;
};

const causeText = (value) =>
  causesOf(value).map(({ title, source, issuer, theme, event }) => joined(title, source, issuer, theme, event)).join(" ");

const headlineCell = (place) => {
  const found = headline(place);
  return make("td", { class: "causes" }, titleOf(found),
    make("div", { class: "meta" }, make("bdi", {}, joined(found.source, found.published && "published " + found.published))));
};

KINDS.headline = {
  cell: headlineCell,
  find: (value) => joined(headline(value).title, headline(value).source),
  key: (value) => headline(value).title.toLowerCase(),
};
KINDS.causes = { cell: causeCell, find: causeText, key: (value) => causeText(value).toLowerCase() };
