"use strict";
// Draws the figures, keeps the theme, and lists the samples. Texts of models are set by textContent,
// or escaped where plotly.js would read tags; nothing here makes HTML of a string.
(() => {
  const read = (id) => {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  };
  const figures = read("figures") || {};
  const data = read("data");
  const root = document.documentElement;
  const PAGE = 20;
  const shown = {};

  // ---------------------------------------------------------------- theme
  const kept = {
    get() { try { return localStorage.getItem("curate-theme"); } catch { return null; } },
    set(name) { try { localStorage.setItem("curate-theme", name); } catch { /* a file has no storage */ } },
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => kept.get() || (system.matches ? "dark" : "light");
  const button = document.getElementById("theme");

  function paint() {
    root.dataset.theme = theme();
    button.textContent = theme() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use the ${button.textContent.toLowerCase()} theme`);
    for (const key of Object.keys(shown)) draw(key, shown[key]);
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    const other = theme() === "dark" ? "light" : "dark";
    kept.set(other);
    paint();
  });
  system.addEventListener("change", paint);

  // ---------------------------------------------------------------- charts
  // Only what is named a colour is looked up: a teacher may be called @live.
  function coloured(value, style, colour = false) {
    if (colour && typeof value === "string" && value.startsWith("@")) {
      return style.getPropertyValue(`--${value.slice(1)}`).trim() || value;
    }
    if (Array.isArray(value)) return value.map((one) => coloured(one, style, colour));
    if (value && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([k, v]) => [k, coloured(v, style, /color/.test(k))]),
      );
    }
    return value;
  }
  const plain = (text) =>
    String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  function wrapped(text, width = 60, most = 280) {
    let said = String(text ?? "").replace(/\s+/g, " ").trim();
    if (said.length > most) said = `${said.slice(0, most)} …`;
    const lines = [];
    let line = "";
    for (const word of said.split(" ")) {
      if (line && line.length + word.length + 1 > width) { lines.push(line); line = ""; }
      line = line ? `${line} ${word}` : word;
    }
    lines.push(line);
    return lines.map((one) => plain(one.slice(0, 2 * width))).join("<br>");
  }
  function hover(place) {
    const row = data.rows[place];
    const numbers = row.numbers.map((n, i) => (n === null ? "" : `${data.numbers[i]} ${short(n)}`));
    return [
      `${row.id}: ${row.why || row.outcome}`, [row.teacher, ...numbers].filter(Boolean).join(", "),
      data.questions[row.q].text, row.text || "(no rationale)",
    ].map((one) => wrapped(one)).join("<br>");
  }
  const short = (n) => (Number.isInteger(n) ? n.toLocaleString("en") : Number(n.toPrecision(3)).toString());

  function draw(key, view) {
    const box = document.querySelector(`[data-chart="${key}"]`);
    const figure = coloured(figures[key][view], getComputedStyle(root));
    for (const trace of figure.data) {
      if (trace.customdata && data) trace.text = trace.customdata.map(hover);
    }
    if (box.clientWidth < 560) narrowed(figure);
    const first = !(key in shown);
    shown[key] = view;
    const options = { displayModeBar: false, responsive: true, showTips: false };
    Plotly.react(box, figure.data, figure.layout, options);
    if (first && data) {
      box.on("plotly_click", (event) => {
        const place = event.points[0].customdata;
        if (place !== undefined) find({ text: data.rows[place].id }, true);
      });
    }
  }
  function narrowed(figure) {
    figure.layout.font.size = 11;
    const named = figure.data.filter((trace) => trace.name && trace.showlegend !== false).length;
    if (named > 1) figure.layout.height += 11 * named; // the legend takes more lines
    for (const name of Object.keys(figure.layout)) {
      const axis = figure.layout[name];
      if (/^[xy]axis/.test(name) && !axis.tickvals && !axis.type && !axis.categoryorder) axis.nticks = 5;
    }
  }
  for (const key of Object.keys(figures)) {
    for (const input of document.querySelectorAll(`input[name="view-${key}"]`)) {
      input.addEventListener("change", () => draw(key, Number(input.value)));
    }
  }

  // ---------------------------------------------------------------- samples
  const form = document.getElementById("find");
  let rows = [];
  let at = 0;

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined && text !== null) made.textContent = text;
    return made;
  }
  function wanted() {
    return Object.fromEntries(new FormData(form).entries());
  }
  function fits(row, ask, words) {
    if (ask.outcome && row.outcome !== ask.outcome) return false;
    if (ask.why && row.why !== ask.why) return false;
    if (ask.teacher && row.teacher !== ask.teacher) return false;
    const score = row.numbers[0];
    if (ask.low && !(score !== null && score >= Number(ask.low))) return false;
    if (ask.high && !(score !== null && score <= Number(ask.high))) return false;
    if (!words.length) return true;
    const question = data.questions[row.q];
    const text = [row.id, question.id, question.text, question.gold, row.text, row.answer, row.prompt]
      .join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  }
  const orders = {
    rank: (row) => row.rank ?? Infinity,
    score: (row) => row.numbers[0] ?? Infinity,
    length: (row) => (row.text ? row.text.length : Infinity),
    question: (row) => row.q,
  };
  function list() {
    const ask = wanted();
    const words = ask.text.toLowerCase().split(/\s+/).filter(Boolean);
    const by = orders[ask.sort];
    rows = data.rows.filter((row) => fits(row, ask, words));
    rows.sort((a, b) => by(a) - by(b) || (a.id < b.id ? -1 : 1));
    turn(0);
  }
  function turn(to) {
    const pages = Math.max(Math.ceil(rows.length / PAGE), 1);
    at = Math.min(Math.max(to, 0), pages - 1);
    const some = rows.slice(at * PAGE, (at + 1) * PAGE);
    document.getElementById("rows").replaceChildren(...some.map(item));
    document.getElementById("found").textContent =
      `${rows.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} ` +
      (data.rows.length === 1 ? "sample" : "samples");
    document.getElementById("page").textContent = `page ${at + 1} of ${pages}`;
    document.getElementById("previous").disabled = at === 0;
    document.getElementById("next").disabled = at === pages - 1;
  }
  const numbered = (row) => data.numbers
    .map((name, place) => (row.numbers[place] === null ? "" : `${name} ${short(row.numbers[place])}`))
    .filter(Boolean);
  function item(row) {
    const question = data.questions[row.q];
    const details = element("details", "sample");
    const summary = element("summary");
    const rank = row.rank === null ? "" : ` ${row.rank}`;
    summary.append(
      element("span", `chip ${row.outcome}`, row.outcome === "selected" ? `selected${rank}` : row.outcome),
      element("span", "line", question.text),
      element("span", "scores", numbered(row)[0]),
    );
    details.append(summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(body(row, question));
    });
    const li = element("li");
    li.append(details);
    return li;
  }
  function body(row, question) {
    const box = element("div", "body");
    box.append(element("pre", "", row.text || "(no rationale)"));
    if (row.cut) box.append(element("p", "muted", `Shortened; curate show ${data.folder} --question ${question.id} has all of it.`));
    const facts = element("dl");
    const verdicts = row.verdicts.map(([filter, outcome, reason, score]) =>
      `${filter}: ${outcome}${reason ? ` (${reason})` : ""}${score === null ? "" : `, score ${score}`}`);
    for (const [name, value] of [
      ["answer", row.answer ?? "(none)"], ["gold", question.gold], ["teacher", row.teacher],
      ["prompt", row.prompt], ["measured", numbered(row).join(", ") || null], ["cluster", row.cluster], ["rank", row.rank], ["sample", row.id],
      ["question", question.id], ...verdicts.map((one, place) => [place ? "" : "verdicts", one]),
    ]) {
      if (value === null || value === undefined) continue;
      facts.append(element("dt", "", name), element("dd", "", value));
    }
    box.append(facts);
    const siblings = element("button", "", "Its siblings");
    siblings.type = "button";
    siblings.addEventListener("click", () => find({ text: question.id }));
    box.append(siblings);
    return box;
  }
  function find(ask, open = false) {
    for (const field of form.elements) {
      if (field.name) field.value = ask[field.name] ?? (field.name === "sort" ? "rank" : "");
    }
    list();
    document.getElementById("samples").scrollIntoView();
    const first = document.querySelector("#rows details");
    if (open && first) first.open = true;
  }
  if (form) {
    form.addEventListener("input", list);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(list));
    document.getElementById("previous").addEventListener("click", () => turn(at - 1));
    document.getElementById("next").addEventListener("click", () => turn(at + 1));
    list();
  }

  paint();
  for (const key of Object.keys(figures)) {
    if (!figures[key].length) continue;
    const chosen = document.querySelector(`input[name="view-${key}"]:checked`);
    draw(key, chosen ? Number(chosen.value) : 0);
  }
})();
