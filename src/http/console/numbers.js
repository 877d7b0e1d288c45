// Numbers as people read them: three digits and a unit.

const THOUSANDS = ["", " k", " M", " G", " T", " P"];
const BYTES = [" B", " kB", " MB", " GB", " TB", " PB"];

function scaled(value, units) {
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  const text = size.toFixed(digits).replace(/\.0+$/, "");
  return `${value < 0 ? "−" : ""}${text}${units[unit]}`;
}

/** A count or a rate: `12.3 k`. */
export const count = (value) => scaled(value, THOUSANDS);

/** Bytes in steps of a thousand: `1.25 MB`. */
export const bytes = (value) => scaled(value, BYTES);

/** A whole number in full: `1 234 567`. */
export const whole = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** All the counts of a group, such as `dropped`, together. */
export const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);

/** So many of something: `1 topic`, `2 topics`. */
export const some = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A span: `0.42 ms`, `350 ms`, `4.2 s`, `12 min`, `3 h 20 min`, `5 d 3 h`. */
export function span(ms) {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time of day to the millisecond: `14:03:22.123`. */
export const clock = (date) => `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
