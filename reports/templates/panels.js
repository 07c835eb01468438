// Charts without a time axis: a panel shows the rows of the choice that the reader makes.

const panelRows = ({ rows }) => {
  const keys = Object.keys(rows);
  return rows[keys[0]].map((_, i) => Object.fromEntries(keys.map((key) => [key, rows[key][i]])));
};

const drawPanel = async (host) => {
  const name = host.dataset.panel;
  const { spec, choices, start = 0 } = data.panels[name];
  const { view } = await vegaEmbed(host, { ...spec, datasets: { rows: panelRows(choices[start]) } }, OPTIONS);
  fitted.push({ view, host });
  host.addEventListener("pointerleave", hideTip);
  const select = document.querySelector(`select[data-for="${name}"]`);
  if (!select) return;
  choices.forEach(({ label }, number) => select.append(make("option", { value: number }, label)));
  select.value = start;
  select.addEventListener("change", () =>
    view.data("rows", panelRows(choices[Number(select.value)])).resize().runAsync());
};

// One of several tables at a time; without this script, and on paper, all of them.
const showOneOf = (select) => {
  const parts = [...document.querySelectorAll(`[data-part-of="${select.id}"]`)];
  select.parentElement.parentElement.dataset.chosen = "";
  for (const part of parts) select.append(make("option", { value: part.dataset.part }, part.dataset.title));
  const show = () => { for (const part of parts) part.hidden = part.dataset.part !== select.value; };
  select.addEventListener("change", show);
  select.parentElement.hidden = false;
  show();
};
