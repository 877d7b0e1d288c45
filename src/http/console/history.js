// The last five minutes of the statistics: a few numbers of each second, all of them of the last minute.
//
// Time is the server's own, its uptime: so rates are exact however late an answer comes.

import { sum } from "./numbers.js";

/** Seconds that plots show. */
export const WINDOW = 300;
/** Seconds over which losses count as recent. */
export const RECENT = 60;
/** Two samples further apart than this have a hole between them, in seconds: nobody looked. */
const HOLE = 5;

/** All shards together. */
export const TOTAL = "total";

/**
 * What is plotted: `of` finds it in the counts of a scope, and what only grows is shown as a rate. Events count as the
 * broker read them, for a shard as they came to it.
 */
export const MEASURES = {
  connections: { of: (counts) => counts.connections },
  events: { of: (counts, scope, stats) => (scope === TOTAL ? stats.broker.events_in : counts.messages_in), grows: true },
  frames: { of: (counts) => counts.frames_out, grows: true },
  bytes: { of: (counts) => counts.bytes_out, grows: true },
  late: { of: (counts) => counts.late },
  dropped: { of: (counts) => sum(counts.dropped), grows: true },
};

/** The counts of a scope: of all shards, or of one by its number. */
export const countsOf = (stats, scope) => (scope === TOTAL ? stats.total : stats.shards[scope]);

export class History {
  #samples = [];

  /** Takes in the newest statistics. */
  add(stats) {
    const at = stats.uptime_ms / 1000;
    // A server that has started again counts from 0.
    if (this.#samples.at(-1)?.at >= at) this.#samples = [];
    this.#samples.push({ at, stats, values: valuesOf(stats) });
    while (at - this.#samples[0].at > WINDOW + HOLE) this.#samples.shift();
    for (const sample of this.#samples) {
      if (at - sample.at <= RECENT + HOLE) break;
      sample.stats = null;
    }
  }

  /** Points of a measure, the oldest first: `{ age, value, joined }`, with `joined` false behind a hole. */
  series(scope, measure) {
    const samples = this.#samples;
    const newest = samples.at(-1)?.at;
    const first = MEASURES[measure].grows ? 1 : 0;
    const points = [];
    for (let index = first; index < samples.length; index += 1) {
      const value = this.#value(index, scope, measure);
      const joined = index > first && samples[index].at - samples[index - 1].at <= HOLE;
      points.push({ age: newest - samples[index].at, value, joined });
    }
    return points;
  }

  /** A measure now: a level, or a rate over the last second; `undefined` as long as that is unknown. */
  latest(scope, measure) {
    const last = this.#samples.length - 1;
    return last < (MEASURES[measure].grows ? 1 : 0) ? undefined : this.#value(last, scope, measure);
  }

  /** How much each count of a group such as `dropped` has grown within the last minute, as far as that was seen. */
  recent(scope, group) {
    const newest = this.#samples.at(-1);
    const oldest = this.#samples.find((sample) => sample.stats && newest.at - sample.at <= RECENT);
    const [now, before] = [newest, oldest].map((sample) => countsOf(sample.stats, scope)[group]);
    return Object.fromEntries(Object.entries(now).map(([reason, count]) => [reason, count - (before[reason] ?? 0)]));
  }

  #value(index, scope, measure) {
    const now = this.#samples[index];
    const value = now.values[scope]?.[measure] ?? 0;
    if (!MEASURES[measure].grows) return value;
    const before = this.#samples[index - 1];
    return Math.max(0, value - (before.values[scope]?.[measure] ?? 0)) / (now.at - before.at);
  }
}

/** What is kept of a sample for as long as the window is: the measures of every scope. */
function valuesOf(stats) {
  const scopes = [TOTAL, ...stats.shards.keys()];
  const of = (scope) => Object.entries(MEASURES).map(([name, { of }]) => [name, of(countsOf(stats, scope), scope, stats)]);
  return Object.fromEntries(scopes.map((scope) => [scope, Object.fromEntries(of(scope))]));
}
