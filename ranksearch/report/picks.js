// Picks a point of the front's chart: by click, by link, or by what is asked of it; rings it and shows its panel.

function explore(box, studies) {
  const form = box.querySelector("form");
  const panel = box.querySelector(".panel");
  let study = Math.max(0, studies.findIndex((one) => one.picks.named.length));
  let picked = null; // address: the study's place, then the point's key
  let asked = ""; // the selection that led to it
  let place = null; // the chart, once it is drawn

  function ring({data, layout}) { // around the picked point, where the axes now put it; tells what of the layout changed
    const at = layout.shapes.findIndex((shape) => shape.name === "picked");
    const ringed = {visible: false};
    for (const {customdata, x, y} of data) {
      const i = customdata?.indexOf(picked) ?? -1;
      if (i >= 0 && !ringed.visible) Object.assign(ringed, {visible: true, xanchor: x[i], yanchor: y[i]});
    }
    return Object.fromEntries(Object.entries(ringed).map(([key, value]) => [`shapes.${at}.${key}`, value]));
  }

  function show(key, pick) {
    picked = key ? `${study}/${key}` : null;
    asked = pick.select;
    panel.dataset.point = picked ?? "";
    panel.style.setProperty("--own", `var(--study-${study % Number(box.dataset.colours)})`);
    panel.replaceChildren(...panelOf(studies[study], key, pick, (other, focused) => {
      show(other, {select: studies[study].points[other].select, remark: ""});
      panel.querySelector(`[title="${focused}"]`).focus();
    }));
    for (const button of form.querySelectorAll("[data-named]"))
      button.setAttribute("aria-pressed", String(pick === studies[study].picks.named[Number(button.dataset.named)]));
    if (place === null) return;
    Plotly.relayout(place, ring(place));
  }

  function showAt(address) {
    const cut = address.indexOf("/");
    const [other, key] = [Number(address.slice(0, cut)), address.slice(cut + 1)];
    if (!(key in studies[other].points)) return;
    if (other !== study) turnTo(other);
    show(key, {select: studies[study].points[key].select, remark: ""});
  }

  function go(address) {
    showAt(address);
    if (panel.getBoundingClientRect().top > innerHeight - 160) panel.scrollIntoView();
  }

  function turnTo(other) { // the sliders are of one study
    study = other;
    form.hidden = !studies[study].picks.named.length;
    if (form.elements.study) form.elements.study.value = String(study);
    for (const [i, name] of ["drop", "ratio"].entries()) {
      const slider = form.elements[name];
      slider.max = Math.max(0, studies[study].picks[name].length - 1);
      slider.value = studies[study].picks.start[i];
      told(name);
    }
  }

  const pickAt = (name) => studies[study].picks[name][Number(form.elements[name].value)];
  function told(name) {
    const value = pickAt(name)?.value ?? "";
    form.querySelector(`output[for="${name}"]`).textContent = value;
    form.elements[name].setAttribute("aria-valuetext", value);
  }
  const ask = (pick) => show(pick.point, pick);

  for (const name of ["drop", "ratio"])
    form.elements[name].addEventListener("input", () => { told(name); ask(pickAt(name)); });
  for (const button of form.querySelectorAll("[data-named]"))
    button.addEventListener("click", () => ask(studies[study].picks.named[Number(button.dataset.named)]));
  form.elements.study?.addEventListener("change", (event) => {
    turnTo(Number(event.target.value));
    const [first] = studies[study].picks.named;
    ask(first ?? NOTHING);
  });
  box.picked = () => ({study, asked, picked, along: ["drop", "ratio"].map((name) => pickAt(name)?.select)});
  box.pickAgain = (before) => { // on a later page of the same studies
    if (!(before.study in studies)) return;
    turnTo(before.study);
    const {named, drop, ratio} = studies[study].picks;
    for (const [i, [name, along]] of [["drop", drop], ["ratio", ratio]].entries()) {
      const at = along.findIndex((pick) => pick.select === before.along[i]);
      if (at < 0) continue;
      form.elements[name].value = at;
      told(name);
    }
    const same = [...named, ...drop, ...ratio].find((pick) => pick.select === before.asked);
    if (same) ask(same);
    else if (before.picked) showAt(before.picked);
    else ask(named[0] ?? NOTHING);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-point]");
    if (link) go(link.dataset.point);
  });
  function listen(chart) {
    place = chart;
    place.on("plotly_click", ({points}) => { if (points[0].customdata) go(points[0].customdata); });
    place.on("plotly_hover", ({points}) => place.classList.toggle("pointing", Boolean(points[0].customdata)));
    place.on("plotly_unhover", () => place.classList.remove("pointing"));
  }

  turnTo(study);
  ask(studies[study].picks.named[0] ?? NOTHING);
  return {ring, listen};
}

const NOTHING = {point: "", select: "", remark: "Nothing is on the front yet: click a point to see its ranks."};
