// How the two families of clients talk, as far as trying them needs it.

import { fetchJson } from "./fetch.js";
import { some } from "./numbers.js";

/** What somebody has typed between commas. */
const listed = (names) => names.split(",").map((name) => name.trim()).filter(Boolean);

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const isNotice = (message) => typeof message?.type === "string" && message.type.startsWith("fanout.");

/** Events for a username, byte for byte as they were published. */
const workflow = {
  label: "Username",
  target: "Publish to the username",
  usual: "alice",
  path: "/ws",
  query: (name) => `?username=${encodeURIComponent(name)}&meta=1`,
  /** What a client says first. */
  greeting: () => [],
  /** What a text from the server is: `{ what, where, event }`. */
  read: (text, name) => ({ what: isNotice(parsed(text)) ? "notice" : "received", where: name, event: text }),
  /** What an event that is sent and one that comes back have in common. */
  key: (event) => event,
  /** Why an event cannot be sent, if it cannot. */
  fault: () => null,
};

/** Messages on channels, which clients broadcast to each other. */
const flux = {
  label: "Channels, separated by commas",
  target: "Broadcast to the channel",
  usual: "lobby",
  path: "/flux/ws",
  query: () => "?meta=1",
  greeting: (names) => listed(names).map((channel) => JSON.stringify({ type: "subscribe", channel })),
  read: (text) => {
    const message = parsed(text);
    if (message.type === "message") return { what: "received", where: message.channel, event: JSON.stringify(message.payload) };
    if (message.type === "error") return { what: "error", where: message.channel ?? "", event: `${message.code}: ${message.message}` };
    return { what: isNotice(message) ? "notice" : message.type, where: message.channel ?? "", event: text };
  },
  key: (event) => JSON.stringify(parsed(event)),
  fault: (event) => (parsed(event) === undefined ? "a payload is JSON" : null),
};

export const DIALECTS = { workflow, flux };

/** Publishes to a username over HTTP: `{ failed, text }`, once the broker has answered. */
export async function publish(name, event) {
  const { status, body } = await fetchJson(`/publish/${encodeURIComponent(name)}`, { method: "POST", body: event });
  return status === 202 ? { text: some(body.receivers, "receiver") } : { failed: true, text: body?.error ?? "no answer" };
}

/** A second flux client, which only broadcasts: the first one never gets its own messages back. */
export class Broadcaster {
  #connect;
  #heard;
  #socket = null;

  /** `connect()` opens a socket, `heard({ what, where, event })` is told what comes in there. */
  constructor(connect, heard) {
    this.#connect = connect;
    this.#heard = heard;
  }

  /** Broadcasts, over a socket that is opened when it is first needed: `{ failed, text }`. */
  async broadcast(channel, event) {
    const socket = await this.#open();
    if (!socket) return { failed: true, text: "cannot connect" };
    socket.send(`{"type":"broadcast","channel":${JSON.stringify(channel)},"payload":${event}}`);
    return { text: "sent" };
  }

  /** Who broadcasts next, does so anew. */
  close() {
    this.#socket?.close();
    this.#socket = null;
  }

  #open() {
    if (this.#socket?.readyState === WebSocket.OPEN) return this.#socket;
    return new Promise((resolve) => {
      const socket = this.#connect();
      socket.addEventListener("open", () => resolve((this.#socket = socket)));
      socket.addEventListener("close", () => resolve(null));
      socket.addEventListener("message", ({ data }) => this.#heard(flux.read(data)));
    });
  }
}
