// The price of one instrument with what the run bought and sold, and the headlines first behind it.

const priceRows = (number) => {
  const { days, closes } = data.prices;
  return days.map((day, i) => ({ day: (data.epoch + day) * DAY_MS, s0: closes[number][i] }))
    .filter(({ s0 }) => s0 !== null);
};

const fillsOf = (number) => {
  const fills = data.tables.fills;
  const of = (key) => columnOf(fills, key).values;
  const [instruments, times, sides, shares, prices, numbers] =
    ["instrument", "at", "side", "shares", "price", "fill"].map(of);
  const causes = columnOf(fills, "causes");
  const wanted = data.prices.instruments[number];
  const currency = word(data.prices.currencies[number]);
  return instruments.flatMap((instrument, row) => {
    if (instrument !== wanted || word(sides[row]) === "split") return [];
    const side = shares[row] > 0 ? "buy" : "sell";
    const place = causes && causes.values[row][0] ? data.readings.headline[causes.values[row][1]] : -1;
    const price = figure(prices[row], prices[row] < 10 ? 3 : 2);
    const what = `${DONE[side]} ${figure(Math.abs(shares[row]), 0)} at ${currency} ${price}`;
    const lines = [`Fill ${numbers[row]}: ${what}`, minuteText(times[row]) + " UTC"];
    if (place >= 0) lines.push("because of: " + headline(place).title);
    const day = (data.epoch + Math.floor(times[row] / 1440)) * DAY_MS;
    return [{ day, price: prices[row], side, lines, headline: place }];
  });
};

const showPrice = (chart, number) => {
  const line = priceRows(number);
  const fills = fillsOf(number);
  const days = line.map(({ day }) => day);
  const places = [...new Set(fills.map((fill) => fill.headline))].filter((place) => place >= 0 && data.headlines.known[place] !== null)
    .sort((a, b) => data.headlines.known[a] - data.headlines.known[b]);
  const marks = places.map((place, n) => {
    const at = placeOf(days, (data.epoch + Math.floor(data.headlines.known[place] / 1440)) * DAY_MS);
    return markOf(place, n, { day: days[at] });
  });
  setMarks(chart, marks);
  for (const side of ["buy", "sell"]) chart.view.data(side, fills.filter((fill) => fill.side === side));
  // Another price may need another margin for its labels.
  return chart.view.data("curve", line).resize().runAsync();
};

const choosePrice = (chart) => {
  const select = document.getElementById("instrument");
  const { instruments, currencies } = data.prices;
  instruments.forEach((name, number) =>
    select.append(make("option", { value: number }, `${word(name)}, ${word(currencies[number])}`)));
  select.addEventListener("change", () => showPrice(chart, Number(select.value)));
  return showPrice(chart, 0);
};
