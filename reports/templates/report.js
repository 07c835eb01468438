// The report of a run: tables at once, then the charts from the top down.

for (const host of document.querySelectorAll(".long")) showTable(host);
for (const select of document.querySelectorAll("select[data-parts]")) showOneOf(select);

(async () => {
  for (const host of document.querySelectorAll("[data-chart], [data-panel]")) {
    if (host.dataset.panel) {
      await drawPanel(host);
      continue;
    }
    const chart = await draw(host);
    if (chart.name === "equity" && data.marks) await markEquity(chart);
    if (chart.name === "price") await choosePrice(chart);
  }
  addEventListener("beforeprint", fitToPaper);
  addEventListener("afterprint", fitToScreen);
  document.documentElement.dataset.drawn = "";
})();
