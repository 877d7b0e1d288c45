// Try it: one client that listens, another side that publishes, and the log of both.

import { Broadcaster, DIALECTS, publish } from "./dialect.js";
import { byId, show } from "./elements.js";
import { socketUrl } from "./feed.js";
import { Log } from "./log.js";

export class Try {
  #families;
  #log = new Log();
  #socket = null;
  #broadcaster = new Broadcaster(() => this.#connect("flux", ""), (message) => this.#complain(message));

  constructor(families) {
    this.#families = families;
    byId("listen-form").addEventListener("change", ({ target }) => target.name === "family" && this.#change());
    byId("listen-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#socket) this.#leave();
      else this.#listen();
    });
    byId("publish-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#publish();
    });
    byId("publish-event").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("publish-form").requestSubmit();
    });
    this.#follow();
  }

  get #family() {
    return document.querySelector('input[name="family"]:checked').value;
  }

  get #dialect() {
    return DIALECTS[this.#family];
  }

  /** The other family has other names. */
  #change() {
    this.#leave();
    const { label, target, usual } = this.#dialect;
    show(byId("listen-label"), label);
    show(byId("publish-label"), target);
    byId("listen-name").value = byId("publish-name").value = usual;
  }

  /** Publishes to whom one listens, until somebody types another name there. */
  #follow() {
    const [listen, target] = [byId("listen-name"), byId("publish-name")];
    let before = listen.value;
    const first = (names) => (this.#family === "flux" ? names.split(",")[0].trim() : names);
    listen.addEventListener("input", () => {
      if (target.value === first(before)) target.value = first(listen.value);
      before = listen.value;
    });
    byId("listen-form").addEventListener("change", () => { before = listen.value; });
  }

  #connect(family, names) {
    const { path, query } = DIALECTS[family];
    const token = byId("listen-token").value.replace(/[^\w.-]/g, "");
    // Browsers send no header of ours: the token goes along as a subprotocol, which may hold nothing else (RFC 6455 §4.1).
    const protocols = token ? ["fanout.token", `fanout.token.${token}`] : [];
    return new WebSocket(socketUrl(this.#families.path(family, path) + query(names)), protocols);
  }

  #listen() {
    const [family, dialect, names] = [this.#family, this.#dialect, byId("listen-name").value.trim()];
    const socket = this.#connect(family, names);
    let opened = false;
    this.#socket = socket;
    this.#say("connecting…", "Stop");
    socket.onopen = () => {
      opened = true;
      for (const text of dialect.greeting(names)) socket.send(text);
      this.#say("listening", "Stop");
      this.#log.note("connected", names, "", "good");
    };
    socket.onmessage = ({ data }) => {
      const { what, where, event } = dialect.read(data, names);
      if (what === "received") this.#log.received(where, event, dialect.key(event));
      else this.#log.note(what, where, event, what === "error" ? "bad" : "");
    };
    socket.onclose = ({ code, reason }) => {
      const why = opened ? `${code} ${reason}` : "not let in; the log of the server says why (--auth, --allowed-origins, limits)";
      this.#log.note("closed", names, why, code === 1000 ? "" : "bad");
      if (this.#socket === socket) {
        this.#socket = null;
        this.#say(opened ? `closed with ${code}` : "not let in", "Listen");
      }
    };
  }

  /** What the server says to the other side is worth a line where it is no good. */
  #complain({ what, where, event }) {
    if (what === "error") this.#log.note(what, where, event, "bad");
  }

  #leave() {
    this.#socket?.close(1000);
    this.#socket = null;
    this.#broadcaster.close();
    this.#say("not connected", "Listen");
  }

  async #publish() {
    const [dialect, name, event] = [this.#dialect, byId("publish-name").value.trim(), byId("publish-event").value];
    const settle = this.#log.published(name, event, dialect.key(event));
    const fault = dialect.fault(event);
    if (fault) settle({ failed: true, text: fault });
    else if (this.#family === "flux") settle(await this.#broadcaster.broadcast(name, event));
    else settle(await publish(name, event));
  }

  #say(state, press) {
    show(byId("listen-state"), state);
    show(byId("listen"), press);
  }
}
