// Draws the page's charts in the reader's colours, and again when these change or the page is printed.
"use strict";
(async () => {
  const text = (id) => document.getElementById(id).textContent;
  const darkOf = new Map(Object.entries(JSON.parse(text("dark-colours"))));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [...document.querySelectorAll("script[data-chart]")].map((source) => ({
    name: source.dataset.chart,
    json: source.textContent,
    place: document.getElementById("chart-" + source.dataset.chart),
  }));
  const config = {responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]};
  const PAPER_WIDTH = 680; // pixels between the margins of A4
  let printing = false;

  async function loadPlotly() { // plotly.js travels compressed: a quarter of its size
    const packed = Uint8Array.from(atob(text("plotly")), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function choose(chart, figure) {
    const picked = document.querySelector(`input[name="${chart.name}"]:checked`);
    if (picked === null) return;
    const choice = figure.choices[Number(picked.value)];
    Plotly.update(chart.place, choice.traces, choice.layout);
  }

  function draw(chart) {
    const swap = dark.matches && !printing;
    const figure = JSON.parse(chart.json, (_, value) => (swap && darkOf.get(value)) || value);
    if (printing) figure.layout.width = PAPER_WIDTH;
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false; // a finger scrolls the page
    Plotly.react(chart.place, figure.data, figure.layout, config);
    choose(chart, figure);
  }

  const drawAll = () => charts.forEach(draw);
  try {
    await loadPlotly();
    drawAll();
  } catch (error) {
    for (const chart of charts) chart.place.textContent = `This figure could not be drawn (${error}): try a browser of 2023 or later.`;
    throw error;
  }
  dark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { printing = true; drawAll(); });
  addEventListener("afterprint", () => { printing = false; drawAll(); });
  for (const chart of charts)
    for (const input of document.querySelectorAll(`input[name="${chart.name}"]`))
      input.addEventListener("change", () => draw(chart));
  document.documentElement.dataset.drawn = String(charts.length);
})();
