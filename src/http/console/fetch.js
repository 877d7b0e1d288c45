// What the server says over HTTP, in JSON.

const PATIENCE_MS = 5000;

/**
 * Fetches JSON: `{ status, body }`. A server that does not answer, or not in JSON, has status 0: the state line says so.
 */
export async function fetchJson(path, options = {}) {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), ...options });
    return { status: response.status, body: await response.json() };
  } catch {
    return { status: 0, body: null };
  }
}
