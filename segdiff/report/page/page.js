"use strict";
(() => {
  const $ = (s, at = document) => at.querySelector(s), $$ = (s, at = document) => [...at.querySelectorAll(s)];
  const data = JSON.parse($("#data").textContent);
  const make = (tag, kind, text) => {
    const e = document.createElement(tag);
    if (kind) e.className = kind;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const on = (at, names, f) => names.split(" ").forEach((n) => at && at.addEventListener(n, f));

  /* Copying, and the JSON itself */
  const told = (button, words) => {
    const was = button.dataset.was || (button.dataset.was = button.textContent);
    button.textContent = words;
    setTimeout(() => (button.textContent = was), 1500);
  };
  const copy = async (button, text) => {
    try {
      await navigator.clipboard.writeText(text);
      told(button, "Copied");
    } catch {
      const area = make("textarea", "away");
      area.value = text;
      document.body.append(area);
      area.select();
      told(button, document.execCommand("copy") ? "Copied" : "Press Ctrl+C");
      area.remove();
      button.focus();
    }
  };
  $$(".copy").forEach((b) => on(b, "click", () => copy(b, b.parentNode.querySelector("pre").textContent)));
  const whole = () => JSON.stringify(data.score || data.report, null, 1);
  on($(".copy-json"), "click", (e) => copy(e.currentTarget, whole()));
  on($(".save-json"), "click", () => {
    const a = make("a");
    a.href = URL.createObjectURL(new Blob([whole()], { type: "application/json" }));
    a.download = "report.json";
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 1000);
  });
  on($(".raw"), "toggle", (e) => {
    const pre = $("pre", e.currentTarget);
    if (!pre.textContent) pre.textContent = whole();
  });

  /* Pictures: two layers on either side of a line */
  $$(".stage").forEach((stage) => {
    const pile = $(".pile", stage), slider = $(".slider", stage);
    if (!slider) return;
    const left = $(".pick-left", stage), right = $(".pick-right", stage), cover = $(".cover", stage);
    const options = [...left.options].map((o) => o.value);
    if (!options.includes("reference")) left.value = "picture";
    if (!options.includes("candidate")) right.value = options.at(-1);
    if (options.includes("fed")) right.value = "fed";
    const show = () => {
      const x = +slider.value, sides = [left.value, right.value];
      $$(".over", pile).forEach((img) => {
        const key = img.dataset.key, at = [sides[0] === key, sides[1] === key];
        img.style.visibility = at[0] || at[1] ? "visible" : "hidden";
        img.style.clipPath = at[0] && at[1] ? "none" : at[0] ? `inset(0 ${100 - x}% 0 0)` : `inset(0 0 0 ${x}%)`;
        img.style.opacity = key === "flips" || key === "heat" ? 1 : cover.value / 100;
      });
      pile.classList.toggle("dimmed", sides.some((k) => k === "flips" || k === "heat"));
      [left, right].forEach((s, i) => ($$(".tag", pile)[i].textContent = i && sides[0] === sides[1] ? "" : s.selectedOptions[0].text));
      $(".divider", pile).style.left = x + "%";
      $(".divider", pile).style.visibility = sides[0] === sides[1] ? "hidden" : "visible";
      $$(".thumbs button", stage).forEach((b) => b.setAttribute("aria-pressed", sides[0] === sides[1] && sides[0] === b.dataset.key));
    };
    on(slider, "input", show);
    [left, right, cover].forEach((e) => on(e, "input", show));
    $$(".thumbs button", stage).forEach((b) => on(b, "click", () => {
      left.value = right.value = b.dataset.key;
      show();
    }));
    const drag = (e) => {
      const box = pile.getBoundingClientRect();
      slider.value = Math.max(0, Math.min(100, ((e.clientX - box.left) / box.width) * 100));
      show();
    };
    on(pile, "pointerdown", (e) => {
      pile.setPointerCapture(e.pointerId);
      drag(e);
    });
    on(pile, "pointermove", (e) => e.buttons && drag(e));
    on(pile, "dragstart", (e) => e.preventDefault());
    show();
  });

  /* The pairs, and what they lead to */
  const MARKS = { clean: ["✓", "good"], origin: ["✗", "bad"], inherited: ["↓", "warning"], unknown: ["?", "unknown"] };
  const pairs = (data.report.pairs || []).map((p, i) => ({ ...p, at: p.place === undefined ? i : p.place }));
  const byPlace = new Map(pairs.map((p) => [p.at, p]));
  const rel = (e) => (e ? (e.rel_l2 === null ? Infinity : e.rel_l2) : -1);
  const number = (e) => {
    const v = rel(e);
    return v < 0 ? "-" : v === 0 ? "0" : v === Infinity ? "inf" : v.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
  };
  const origins = new Map();
  $$("article.origin").forEach((a) => {
    const link = $('.links a[href^="#pair-"]', a);
    if (link) origins.set(+link.getAttribute("href").slice(6) - 1, a);
  });
  const boxes = new Map();
  $$(".flow a.box").forEach((b) => boxes.set(+b.getAttribute("href").slice(6) - 1, b));
  const words = (p) => `pair ${p.at + 1}: ${p.candidate_op} ${p.candidate}`;
  const errors = (p) => `isolated ${number(p.isolated)}, cumulative ${number(p.cumulative)}`;

  const table = $("#table"), body = table && $("tbody", table);
  const STEP = 100, PRINTED = 60;
  let shown = pairs, drawn = 0, key = "place", up = true;
  const bar = (e) => {
    const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
    const v = rel(e), w = v <= 1e-8 ? 0 : v >= 1 ? 56 : 56 * (1 + Math.log10(v) / 8);
    svg.setAttribute("class", "bar");
    for (const [k, n] of [["width", 56], ["height", 8], ["aria-hidden", "true"]]) svg.setAttribute(k, n);
    rect.setAttribute("width", w.toFixed(1));
    rect.setAttribute("height", 8);
    svg.append(rect);
    return svg;
  };
  const row = (p) => {
    const tr = make("tr"), [mark, tone] = MARKS[p.state];
    tr.id = `pair-${p.at + 1}`;
    tr.tabIndex = -1;
    const cell = (...parts) => {
      const td = make("td");
      td.append(...parts);
      tr.append(td);
      return td;
    };
    cell(String(p.at + 1)).className = "right";
    cell(mark).className = tone;
    tr.lastChild.title = p.reason || p.state;
    tr.lastChild.append(make("span", "away", " " + p.state));
    cell(make("b", "", p.reference_op), " ", make("span", "name", p.reference));
    cell(make("b", "", p.candidate_op), " ", make("span", "name", p.candidate));
    for (const e of [p.isolated, p.cumulative]) {
      const td = cell(number(e).padEnd(8, "\u2007"), bar(e));
      td.className = "num " + (p.state === "clean" ? "" : tone);
    }
    const links = make("div", "links"), origin = origins.get(p.at), box = boxes.get(p.at);
    const link = (to, text, label) => {
      const a = make("a", "", text);
      a.href = "#" + to;
      a.setAttribute("aria-label", label);
      links.append(a);
    };
    if (origin) link(origin.id, "origin", `${origin.id.replace("-", " ")}, of pair ${p.at + 1}`);
    if (box) link(box.id, "graph", `pair ${p.at + 1} in the graph`);
    cell(links);
    return tr;
  };
  const draw = (upto) => {
    if (upto <= drawn) return;
    const part = document.createDocumentFragment(), to = Math.min(shown.length, upto);
    for (; drawn < to; drawn++) part.append(row(shown[drawn]));
    body.append(part);
  };
  const value = { place: (p) => p.at, state: (p) => "origin unknown inherited clean".indexOf(p.state), reference: (p) => p.reference_op + " " + p.reference, candidate: (p) => p.candidate_op + " " + p.candidate, isolated: (p) => rel(p.isolated), cumulative: (p) => rel(p.cumulative) };
  const filter = $(".filter");
  const refresh = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const states = new Set($$(".state input:checked").map((i) => i.value));
    shown = pairs.filter((p) => {
      if (!states.has(p.state)) return false;
      const text = `${p.reference_op} ${p.reference} ${p.candidate_op} ${p.candidate}`.toLowerCase();
      return words.every((w) => text.includes(w));
    });
    const of = value[key], turn = up ? 1 : -1;
    shown.sort((a, b) => {
      const x = of(a), y = of(b);
      return (x < y ? -turn : x > y ? turn : 0) || a.at - b.at;
    });
    body.textContent = "";
    drawn = 0;
    draw(STEP);
    const out = data.report.pairs_left_out;
    $(".count").textContent = `${shown.length} of ${pairs.length} rows` + (out ? `; ${out} more pairs stand in the JSON report alone` : "");
  };
  if (table) {
    $$("th[data-key] button", table).forEach((b) => on(b, "click", () => {
      const th = b.parentNode;
      up = key === th.dataset.key ? !up : !/isolated|cumulative/.test(th.dataset.key);
      key = th.dataset.key;
      $$("th[data-key]", table).forEach((h) => h.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      refresh();
    }));
    on(filter, "input", refresh);
    $$(".state input").forEach((i) => on(i, "change", refresh));
    const rows = $(".rows");
    on(rows, "scroll", () => rows.scrollTop + rows.clientHeight > rows.scrollHeight - 600 && draw(drawn + STEP));
    on(rows, "keydown", (e) => {
      const tr = e.target.closest("tbody tr");
      const to = { ArrowDown: (t) => t.nextElementSibling, ArrowUp: (t) => t.previousElementSibling, Home: () => body.firstElementChild, End: () => body.lastElementChild }[e.key];
      if (to) {
        if (e.key !== "ArrowUp") draw(drawn + (e.key === "End" ? Infinity : 1));
        const next = tr ? to(tr) : body.firstElementChild;
        if (next) {
          next.focus();
          e.preventDefault();
        }
      } else if (e.key === "Enter" && e.target === tr) {
        const a = $("a", tr);
        if (a) a.click();
      }
    });
    refresh();
    on(window, "beforeprint", () => {
      const near = (p) => pairs.some((o) => Math.abs(o.at - p.at) <= 3 && o.state === "origin");
      body.textContent = "";
      body.append(...pairs.filter((p) => p.state === "unknown" || near(p)).slice(0, PRINTED).map(row));
    });
    on(window, "afterprint", refresh);
  }

  /* Following a link: unfold, draw, scroll, focus; Escape leads back */
  let here;
  const go = (id) => {
    if (/^pair-\d+$/.test(id) && table) {
      const at = +id.slice(5) - 1;
      if (!byPlace.has(at)) return;
      if (!shown.includes(byPlace.get(at))) {
        filter.value = "";
        $$(".state input").forEach((i) => (i.checked = true));
        refresh();
      }
      draw(shown.indexOf(byPlace.get(at)) + 30);
    }
    const to = document.getElementById(id);
    if (!to) return;
    for (let d = to.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    if (here) here.classList.remove("here");
    here = to;
    to.classList.add("here");
    const smooth = { block: "center", inline: "center" };
    if (to.tagName === "TR" || to.closest(".flow")) to.closest(".rows, .flow").scrollIntoView({ block: "nearest", behavior: "instant" });
    to.scrollIntoView(to.matches("section, article") ? {} : { ...smooth, behavior: "instant" });
    const target = to.matches("section") ? $("h2", to) : to;
    if (!target.matches("a") && !target.hasAttribute("tabindex")) target.setAttribute("tabindex", -1);
    target.focus({ preventScroll: true });
  };
  const visited = [];
  on(document, "click", (e) => {
    const a = e.target.closest("a");
    const to = a && a.getAttribute("href");
    if (!to || to[0] !== "#") return;
    e.preventDefault();
    visited.push(a.closest("tr[id]") ? a.closest("tr").id : a.id || a);
    history.pushState(null, "", to);
    go(to.slice(1));
  });
  on(window, "popstate", () => location.hash && go(location.hash.slice(1)));
  on(document, "keydown", (e) => {
    if (e.key !== "Escape" || !visited.length) return;
    const back = visited.pop();
    if (typeof back === "string") go(back);
    else {
      back.scrollIntoView({ block: "center", behavior: "instant" });
      back.focus({ preventScroll: true });
    }
  });

  /* The curve: move along it, click or Enter to its row */
  const tip = $("#tip");
  const hint = (text, x, y) => {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18) + "px";
  };
  $$(".curve").forEach((curve) => {
    const plot = $(".plot", curve), scrub = $(".scrub input", curve), cross = $(".cross", curve), out = $(".told", curve);
    const count = +scrub.max;
    const nearest = (i) => {
      for (let d = 0; d < count; d++) {
        const p = byPlace.get(i - d) || byPlace.get(i + d);
        if (p) return p;
      }
    };
    const point = (i) => {
      const p = nearest(i);
      if (!p) return p;
      const x = ((p.at + 0.5) / count) * 100 + "%";
      cross.setAttribute("x1", x);
      cross.setAttribute("x2", x);
      cross.setAttribute("visibility", "visible");
      out.textContent = `${words(p)}, ${p.state}; ${errors(p)}`;
      return p;
    };
    const under = (e) => {
      const box = plot.getBoundingClientRect();
      return Math.max(0, Math.min(count - 1, Math.floor(((e.clientX - box.left) / box.width) * count)));
    };
    on(plot, "pointermove", (e) => {
      const p = point(under(e));
      if (p) {
        scrub.value = p.at + 1;
        hint(`${words(p)}\n${MARKS[p.state][0]} ${p.state}; ${errors(p)}`, e.clientX, e.clientY);
      }
    });
    on(plot, "pointerleave", () => hint(""));
    const follow = (p) => {
      hint("");
      visited.push(scrub);
      if (p) go(`pair-${p.at + 1}`);
    };
    on(plot, "click", (e) => follow(nearest(under(e))));
    on(scrub, "input", () => point(scrub.value - 1));
    on(scrub, "keydown", (e) => e.key === "Enter" && follow(nearest(scrub.value - 1)));
    point(scrub.value - 1);
  });

  /* The graph: hints, search, the minimap */
  on(document, "pointerover focusin", (e) => {
    const box = e.target.closest && e.target.closest(".box, .jump");
    if (!box) return e.target.closest && e.target.closest(".plot") ? 0 : hint("");
    const at = box.getBoundingClientRect(), title = $("title", box);
    if (title && !box.dataset.hint) {
      box.dataset.hint = title.textContent;
      if (box.matches(".box")) box.setAttribute("aria-label", $("text", box).textContent + ": " + title.textContent);
      title.remove();
    }
    hint(box.dataset.hint, at.left, at.bottom - 12);
  });
  on(document, "focusout", () => hint(""));
  const flow = $(".flow");
  if (flow) {
    const map = $(".map"), frame = $(".window", map), depth = map.viewBox.baseVal.height;
    const all = $$(".box", flow).map((b) => [b, $("title", b).textContent.toLowerCase()]);
    const find = $(".find"), hits = $(".hits"), unfold = $(".unfold");
    let found = [], at = -1;
    const search = () => {
      found.forEach((b) => b.classList.remove("hit"));
      const word = find.value.trim().toLowerCase();
      found = word ? all.filter(([, t]) => t.includes(word)).map(([b]) => b) : [];
      found.forEach((b) => b.classList.add("hit"));
      at = -1;
      hits.textContent = word ? `${found.length} found` : "";
    };
    const next = (step) => {
      if (!found.length) return;
      at = (at + step + found.length) % found.length;
      const focus = document.activeElement;
      go(found[at].id);
      focus.focus({ preventScroll: true });
      hits.textContent = `${at + 1} of ${found.length}`;
    };
    on(find, "input", search);
    on(find, "keydown", (e) => e.key === "Enter" && next(e.shiftKey ? -1 : 1));
    on($(".next"), "click", () => next(1));
    on(unfold, "click", () => {
      const folds = $$("details", flow), open = folds.some((d) => !d.open);
      folds.forEach((d) => (d.open = open));
      unfold.textContent = open ? "Fold again" : "Unfold all";
    });
    const blocks = $$(".stretch", flow).map((b) => [b, +b.dataset.start, +b.dataset.ranks]);
    const rank = (y) => {
      for (const [b, start, ranks] of blocks)
        if (y <= b.offsetTop + b.offsetHeight) return start + Math.max(0, (y - b.offsetTop) / b.offsetHeight) * ranks;
      return depth;
    };
    const watch = () => {
      const top = rank(flow.scrollTop);
      frame.setAttribute("y", top);
      frame.setAttribute("height", Math.max(depth / 200, rank(flow.scrollTop + flow.clientHeight) - top));
    };
    on(flow, "scroll", watch);
    $$("details", flow).forEach((d) => on(d, "toggle", watch));
    on(map, "click", (e) => {
      const box = map.getBoundingClientRect(), y = ((e.clientY - box.top) / box.height) * depth;
      const [b, start, ranks] = blocks.find(([, s, r]) => y < s + r) || blocks.at(-1);
      flow.scrollTop = b.offsetTop + ((y - start) / ranks) * b.offsetHeight - flow.clientHeight / 2;
    });
    const first = $(".box.origin", flow);
    if (first) flow.scrollTop = first.getBoundingClientRect().top - flow.getBoundingClientRect().top - 120;
    watch();
  }
  if (location.hash) go(location.hash.slice(1));
})();
