// The panel beside the front: what is known of the picked point. Whatever comes from a study is set as text.

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// key: of the point; pick: the selection that led to it; go: shows another point of the study by its key.
function panelOf(study, key, pick, go) {
  const point = study.points[key];
  if (!point) return [make("p", "remark", pick.remark)];
  return [
    headOf(study, key, point, go),
    factsOf(point),
    ...commandOf(study, point, pick),
    ...trainingOf(study, point),
    layersOf(study, point),
  ];
}

function headOf(study, key, point, go) {
  const place = study.along.indexOf(key);
  const step = (name, sign, other) => {
    const button = make("button", "step", sign);
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", name);
    button.disabled = place < 0 || !(other in study.along);
    button.addEventListener("click", () => go(study.along[other], name));
    return button;
  };
  const steps = [step("larger network of the front", "←", place - 1), step("smaller network of the front", "→", place + 1)];
  return make("header", "", make("div", "", make("h3", "", point.title), make("p", "remark", point.remark)), ...steps);
}

function factsOf(point) {
  const facts = point.facts.map((fact) =>
    make("div", "", make("dt", "", fact.label), make("dd", "", make("b", "", fact.value), make("span", "", fact.remark))));
  return make("dl", "facts", ...facts);
}

function commandOf(study, point, pick) {
  if (!pick.select) return [];
  const code = make("code", "", study.export.before + pick.select + study.export.after);
  const button = make("button", "", "Copy");
  button.type = "button";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch { // not from every address
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  const line = make("div", "command", code, button);
  return pick.remark ? [line, make("p", "remark", `${pick.select}: ${pick.remark}`)] : [line];
}

function trainingOf(study, point) {
  if (point.curve === null) return [];
  const rows = ["trained", "λ", "loss", "accuracy"].map((name, row) =>
    make("tr", "", make("th", "", name), ...point.looks.map((look) => make(row ? "td" : "th", "number", look[row]))));
  return [
    make("h4", "", "λ and accuracy over the trial"),
    ...(study.curves[point.curve][0] ? [curveOf(study.curves[point.curve])] : []), // without decay there is none
    make("table", "looks", make("thead", "", rows[0]), make("tbody", "", ...rows.slice(1))),
    make("p", "remark", point.training),
  ];
}

function curveOf(values) { // from 1 down to 0, over the progress of the trial
  const [width, height] = [values.length - 1, 1];
  const line = values.map((value, i) => `${i} ${height - value}`).join("L");
  const svg = drawn("svg", {viewBox: `0 -0.04 ${width} 1.08`, preserveAspectRatio: "none", class: "decay", role: "img"});
  svg.setAttribute("aria-label", "λ falls from 1 to 0");
  svg.append(drawn("path", {d: `M${line}V${height}H0Z`, class: "area"}), drawn("path", {d: `M${line}`, class: "line"}));
  return svg;
}

function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function layersOf(study, point) {
  const head = ["layer", "ranks of full", "parameters", "MACs"].map((name, i) => make("th", i > 1 ? "number" : "", name));
  const rows = study.layers.map((layer, i) => {
    const cost = layer.costs[point.costs[i]];
    const ranks = cost.ranks.length
      ? cost.ranks.map((rank, mode) => barOf(cost.ranks.length > 1 ? ["out", "in"][mode] : "", rank, layer.full[mode]))
      : [make("span", "remark", cost.reason ? `dense: ${cost.reason}` : "dense")];
    return make("tr", "", make("td", "name", ...broken(layer.name)), make("td", "ranks", ...ranks),
      make("td", "number", cost.params, make("small", "", `of ${layer.params}`)),
      make("td", "number", cost.macs, make("small", "", `of ${layer.macs}`)));
  });
  const table = make("table", "layers", make("thead", "", make("tr", "", ...head)), make("tbody", "", ...rows));
  return make("div", "", make("h4", "", `Layers, counted in the ${study.form} form`), table);
}

function broken(name) { // a long name of a module, where it may break
  return name.split(/(?<=\.)/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));
}

function barOf(mode, rank, full) {
  const share = make("i", "");
  share.style.width = `${(100 * rank) / full}%`;
  return make("div", "mode", make("span", "side", mode), make("span", "bar", share), make("span", "number", `${rank}/${full}`));
}
