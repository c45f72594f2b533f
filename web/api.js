// The operator's side of /api/v1, by the login cookie.

// ApiError carries the server's sentence; status 0 means that it did not answer.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// api calls the API and returns its JSON, or null where there is none.
export async function api(method, path, body) {
  let res;
  try {
    res = await fetch('/api/v1' + path, {
      method,
      cache: 'no-store',
      headers: { 'X-Glimpse-CSRF': '1', ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(10000),
    });
  } catch {
    throw new ApiError(0, 'The server does not answer.');
  }
  const json = await res.json().catch(() => null);
  if (!res.ok) throw new ApiError(res.status, json?.detail || json?.title || `The server answered ${res.status}.`);
  return json;
}
