// The state in one line: the worst of what is known, and the facts behind it.

import { byId, make, Rows, show } from "./elements.js";
import { TOTAL } from "./history.js";
import { span, whole } from "./numbers.js";

/** A canary is sent each second; one that is older than this is late, and one of 2.5 s is missing. */
const CANARY_LATE_MS = 1600;
/** A shard that had no pause for so long is busy enough to say so. */
const BEHIND_MS = 1000;

/** What is wrong with statistics: `[level, sentence]`, the worst first. */
function complaints(stats, history) {
  const { broker, total, draining } = stats;
  const recent = (group) => Object.entries(history.recent(TOTAL, group)).filter(([, count]) => count > 0);
  const dropped = recent("dropped").map(([reason]) => reason);
  const overloaded = recent("refused").some(([reason]) => reason === "overloaded");
  return [
    [draining, "bad", "Draining: the server is leaving, its clients are sent elsewhere"],
    [!broker.connected, "bad", brokenBroker(broker)],
    [total.ledger_difference !== 0, "bad", `The ledger is off by ${whole(total.ledger_difference)} frames: this is a bug, please report it`],
    [overloaded, "bad", "Overloaded: new clients are turned away"],
    [isLate(broker.canary), "warn", `Serving, but the canary is late: ${span(broker.canary?.age_ms ?? 0)}`],
    [total.behind_ms > BEHIND_MS, "warn", `Serving, but a shard has had no pause for ${span(total.behind_ms)}`],
    [dropped.length > 0, "warn", `Serving, but there were losses within the last minute: ${dropped.join(", ")}`],
  ].filter(([holds]) => holds).map(([, level, sentence]) => [level, sentence]);
}

const isLate = (canary) => canary?.state === "heard" && canary.age_ms > CANARY_LATE_MS;

const brokenBroker = ({ kind, canary }) =>
  canary?.state === "missing" && canary.age_ms !== null
    ? `No events from ${kind}: what is published there has not come back for ${span(canary.age_ms)}`
    : `No events from ${kind}: it cannot be reached, or the subscription is not confirmed`;

/** The facts: `[name, text, level]`. */
function facts({ broker, total, uptime_ms: uptime }) {
  return [
    ["Broker", `${broker.kind}, ${broker.connected ? "connected" : "not connected"}`, broker.connected ? "good" : "bad"],
    canaryFact(broker),
    ["Gaps", broker.reconnects === 0 ? "none" : `${whole(broker.reconnects)} since the start`, broker.reconnects === 0 ? "good" : "warn"],
    ["Ledger", total.ledger_difference === 0 ? "balanced" : `off by ${whole(total.ledger_difference)}`, total.ledger_difference === 0 ? "good" : "bad"],
    ["Behind", total.behind_ms > 0 ? span(total.behind_ms) : "no", total.behind_ms > BEHIND_MS ? "warn" : "good"],
    ["Up for", span(uptime), ""],
  ];
}

function canaryFact({ canary }) {
  if (!canary) return ["Canary", "not needed", ""];
  if (canary.state === "denied") return ["Canary", "forbidden by Redis' ACL: nothing is proven", "warn"];
  if (canary.age_ms === null) return ["Canary", "not heard", "bad"];
  const trip = canary.round_trip_ms === null ? "" : `, round trip ${span(canary.round_trip_ms)}`;
  const level = canary.state !== "heard" ? "bad" : isLate(canary) ? "warn" : "good";
  return ["Canary", `${span(canary.age_ms)} ago${trip}`, level];
}

const LINKS = { live: "live", polling: "polling", gone: "no answer", denied: "not allowed" };

export class State {
  #history;
  #link = "connecting";
  #rows = new Rows(byId("facts"), (name) => new Fact(name));

  constructor(history) {
    this.#history = history;
  }

  /** How the page hears of the server now. */
  link(link) {
    if (link === this.#link) return;
    this.#link = link;
    const element = byId("link");
    element.dataset.link = link;
    show(element, LINKS[link]);
    if (link === "gone") this.#say("bad", `No answer from the server since ${new Date().toLocaleTimeString()}; trying again`);
    if (link === "denied") this.#say("bad", "The server lets nobody in here without its token: load this page again");
  }

  update(stats) {
    const [level, sentence] = complaints(stats, this.#history)[0] ?? ["good", "Serving: events arrive and go out"];
    this.#say(level, sentence);
    this.#rows.show(facts(stats).map(([name, text, level]) => [name, { text, level }]));
  }

  #say(level, sentence) {
    byId("state").dataset.level = level;
    show(byId("verdict"), sentence);
    const mark = { good: "", warn: "⚠ ", bad: "✕ " }[level];
    const title = `${mark}fanout${level === "good" ? "" : ` – ${sentence.split(/[:;(]/)[0]}`}`;
    if (document.title !== title) document.title = title;
  }
}

/** One fact. */
class Fact {
  #text = make("dd");

  constructor(name) {
    this.element = make("div", { className: "fact" }, make("dt", { textContent: name }), this.#text);
  }

  update({ text, level }) {
    show(this.#text, text);
    this.element.dataset.level = level;
  }
}
