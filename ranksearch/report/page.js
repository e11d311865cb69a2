// Draws the page's charts in the reader's colours, and again when these change or the page is printed.

(async () => {
  const darkOf = new Map(Object.entries(JSON.parse(document.getElementById("dark-colours").textContent)));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [...document.querySelectorAll("script[data-chart]")].map((source) => ({
    name: source.dataset.chart,
    source,
    place: document.getElementById("chart-" + source.dataset.chart),
  }));
  const config = {responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]};
  const PAPER_WIDTH = 680; // pixels between the margins of A4
  const CROWD = 500; // points of one kind in the first figure, beyond which they come after everything else
  let printing = false;

  function run(text) {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
  }

  function choose(chart, figure) { // as Plotly.update would, before anything is drawn
    const picked = document.querySelector(`input[name="${chart.name}"]:checked`);
    if (picked === null) return;
    const {traces, layout} = figure.choices[Number(picked.value)];
    for (const [key, values] of Object.entries(traces)) figure.data.forEach((trace, i) => { trace[key] = values[i]; });
    setAll(figure.layout, layout);
  }

  function setAll(layout, changes) { // keys are paths
    for (const [path, value] of Object.entries(changes)) {
      const keys = path.split("."), last = keys.pop();
      keys.reduce((inside, key) => inside[key], layout)[last] = value;
    }
  }

  function draw(chart, most = Infinity) { // points of one kind, or it is left out; tells whether any was
    const swap = dark.matches && !printing;
    const figure = JSON.parse(chart.json, swap ? (_, value) => darkOf.get(value) ?? value : undefined);
    if (printing) figure.layout.width = PAPER_WIDTH;
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false; // a finger scrolls the page
    choose(chart, figure);
    if (chart.explorer) setAll(figure.layout, chart.explorer.ring(figure));
    const left = figure.data.filter((trace) => trace.x?.length > most);
    for (const trace of left) Object.assign(trace, {x: [], y: []});
    Plotly.react(chart.place, figure.data, figure.layout, config);
    return left.length > 0;
  }

  async function prepare(chart) { // what needs no library: from here on the front's panel and its sliders work
    const box = chart.place.closest(".explorer");
    if (box) chart.explorer = explore(box, JSON.parse(await unpacked(box.querySelector("script[data-points]"))));
    chart.json = await unpacked(chart.source);
  }

  function listen(chart) {
    chart.explorer?.listen(chart.place);
    for (const input of document.querySelectorAll(`input[name="${chart.name}"]`))
      input.addEventListener("change", () => draw(chart));
  }

  const breath = () => new Promise((next) => setTimeout(next)); // the reader may come in between

  const drawAll = () => charts.forEach((chart) => draw(chart));
  try {
    const library = unpacked(document.getElementById("plotly"));
    for (const chart of charts) await prepare(chart);
    performance.mark("picks");
    await breath();
    run(await library);
    for (const chart of charts) {
      const first = chart === charts[0];
      const sparse = draw(chart, first ? CROWD : Infinity);
      listen(chart);
      if (first) performance.mark("usable");
      document.documentElement.dataset.drawn ??= chart.name;
      await breath();
      if (!sparse) continue;
      draw(chart);
      await breath();
    }
  } catch (error) {
    for (const chart of charts) chart.place.textContent = `This figure could not be drawn (${error}): try a browser of 2023 or later.`;
    throw error;
  }
  dark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { printing = true; drawAll(); });
  addEventListener("afterprint", () => { printing = false; drawAll(); });
  document.documentElement.dataset.drawn = "all";
})();
