// What did not reach a client, who was not let in, and which connections ended: by reason, where there were any.

import { byId, cell, make, Rows, show } from "./elements.js";
import { countsOf } from "./history.js";
import { whole } from "./numbers.js";

/** What the reasons mean; one that is not here stands for itself. */
const MEANINGS = {
  dropped: {
    not_utf8: "events that are no text",
    event_too_big: "events above --max-event",
    slow_consumer: "the client's queue was full; it was closed with 4001",
    connection_closed: "the client left while they waited",
    not_json: "events on a channel that are no JSON",
    bad_envelope: "events that claim to be envelopes and are none",
    oldest: "gave way to newer ones in a full queue",
    replaced: "a newer one of the same topic took their place",
    expired: "waited for longer than --event-ttl",
    stalled: "the client took nothing for --write-timeout",
    memory_budget: "more than --outbound-total-max waited for all",
  },
  refused: {
    bad_head: "no HTTP request",
    bad_request: "no proper WebSocket request",
    origin: "a page that --allowed-origins does not list",
    cookie_origin: "a cookie, from a page of another site",
    token_missing: "no token",
    token_expired: "an expired token",
    token_bad: "a bad token",
    token_foreign: "a token of somebody else",
    private_door: "may not administer",
    draining: "the server was leaving",
    full: "--max-connections were there",
    overloaded: "the server was behind with its work",
    user_full: "--max-connections-per-user were there",
    address_full: "--max-connections-per-address were there",
  },
  closed: {
    1000: "the client said goodbye",
    1001: "the client went away",
    1002: "the client broke the protocol",
    1003: "one side takes no such data",
    1005: "the client said goodbye without a code",
    1006: "without a goodbye",
    1007: "the client sent text that is none",
    1008: "too fast, or silent for too long",
    1009: "the client's message was too long",
    1011: "the server failed",
    1012: "the server restarts",
    1013: "the server was overloaded",
    4001: "too slow a client",
    4002: "disconnected by an administrator",
    4003: "the token expired",
    other: "the client said goodbye with a code of its own",
  },
};

/** What is counted, and what one of the last minute is: most connections that end have come to their ends. */
const GROUPS = [
  { group: "dropped", title: "Dropped", hint: "events and frames that did not reach a client", level: "warn" },
  { group: "refused", title: "Turned away", hint: "clients that were not let in", level: "warn" },
  { group: "closed", title: "Closed", hint: "connections that ended, by close code", level: "" },
];

export class Losses {
  #history;
  #groups = GROUPS.map((kind) => new Group(kind));

  constructor(history) {
    this.#history = history;
    byId("losses-tables").append(...this.#groups.map((group) => group.element));
  }

  update(stats, scope) {
    const counts = countsOf(stats, scope);
    for (const group of this.#groups) group.update(counts, this.#history, scope);
    const isEmpty = this.#groups.every((group) => group.element.hidden);
    show(byId("losses-hint"), isEmpty ? "nothing and nobody since the start" : "by reason, since the start");
    byId("losses-tables").hidden = isEmpty;
  }
}

/** The table of one kind of loss. */
class Group {
  #group;
  #rows;

  constructor({ group, title, hint, level }) {
    this.#group = group;
    const heading = (text, className) => make("th", { scope: "col", className, textContent: text });
    const head = make("tr", {}, heading(title, ""), heading("last minute", "number"), heading("all", "number"));
    const body = make("tbody");
    const caption = make("caption", { className: "unseen", textContent: `${title}: ${hint}` });
    this.#rows = new Rows(body, (reason) => new Reason(reason, MEANINGS[group][reason] ?? "", level));
    this.element = make("table", { id: `losses-${group}`, hidden: true }, caption, make("thead", {}, head), body);
  }

  update(counts, history, scope) {
    const recent = history.recent(scope, this.#group);
    const found = Object.entries(counts[this.#group]).filter(([, all]) => all > 0);
    this.element.hidden = found.length === 0;
    this.#rows.show(found.map(([reason, all]) => [reason, { all, recent: recent[reason] }]));
  }
}

/** One line of it. */
class Reason {
  #recent = cell("number");
  #all = cell("number");
  #level;

  constructor(reason, meaning, level) {
    this.#level = level;
    const head = make("th", { scope: "row" }, make("code", { textContent: reason }), make("span", { className: "meaning", textContent: meaning }));
    this.element = make("tr", {}, head, this.#recent, this.#all);
  }

  update({ all, recent }) {
    show(this.#recent, whole(recent));
    show(this.#all, whole(all));
    this.#recent.dataset.level = recent > 0 ? this.#level : "";
  }
}
