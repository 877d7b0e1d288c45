// The feed: the server's statistics once a second while somebody looks, over one WebSocket. Where that cannot be opened
// (some browsers send no password with it) they are fetched; where nobody answers it is tried again and again.

import { fetchJson } from "./fetch.js";

const LIVE = "/admin/live";
const STATS = "/admin/stats";

/** Time between two questions. */
const PERIOD_MS = 1000;
/** Questions without an answer after which the server counts as gone. */
const UNANSWERED_MAX = 3;
/** How long opening the WebSocket may take, which is usually done in milliseconds. */
const PATIENCE_MS = 4000;
/** Answers fetched before another WebSocket is tried. */
const POLLS = 30;
/** The longest pause before the second attempt; it doubles with each that fails. */
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 8000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves once somebody looks at the page. */
const seen = async () => {
  while (document.hidden) await new Promise((turn) => document.addEventListener("visibilitychange", turn, { once: true }));
};

export class Feed {
  #heard;

  /** `heard` has `hello(hello)`, `stats(stats)` and `link(state)`, of `live`, `polling`, `gone` and `denied`. */
  constructor(heard) {
    this.#heard = heard;
  }

  /** Never returns. */
  async run() {
    for (let failures = 0; ; failures += 1) {
      await seen();
      const answered = (await this.#listen()) || (await this.#poll());
      if (answered) failures = 0;
      // Nobody knows how many consoles come back together.
      await pause(Math.random() * Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** failures));
    }
  }

  /** Asks over a WebSocket until it ends; whether it ever began. */
  #listen() {
    return new Promise((resolve) => {
      const socket = new WebSocket(socketUrl(LIVE));
      let unanswered = 0;
      let opened = false;
      const ask = () => {
        if (!opened || document.hidden) return;
        if (unanswered >= UNANSWERED_MAX) return end();
        unanswered += 1;
        socket.send('{"type":"stats"}');
      };
      const clock = setInterval(ask, PERIOD_MS);
      const patience = setTimeout(() => opened || end(), PATIENCE_MS);
      document.addEventListener("visibilitychange", ask);
      const end = () => {
        clearInterval(clock);
        clearTimeout(patience);
        document.removeEventListener("visibilitychange", ask);
        socket.onclose = socket.onmessage = null;
        socket.close();
        if (opened) this.#heard.link("gone");
        resolve(opened);
      };
      socket.onopen = () => {
        opened = true;
        ask();
      };
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "hello") this.#heard.hello(message);
        if (message.type === "stats") {
          unanswered = 0;
          this.#heard.link("live");
          this.#heard.stats(message.stats);
        }
      };
      socket.onclose = end;
    });
  }

  /** Fetches for a while; whether there was an answer to the end. */
  async #poll() {
    for (let polls = 0; polls < POLLS; polls += 1) {
      await seen();
      const { status, body } = await fetchJson(STATS);
      if (status !== 200) {
        this.#heard.link(status === 401 || status === 403 ? "denied" : "gone");
        return false;
      }
      this.#heard.link("polling");
      this.#heard.stats(body);
      await pause(PERIOD_MS);
    }
    return true;
  }
}

/** A path of this server for WebSockets. */
export const socketUrl = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
