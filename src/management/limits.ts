/** Connections at one time, each for one request. Further ones are closed as soon as they are accepted, and the log says so. */
export const MAX_MANAGEMENT_CONNECTIONS = 256;

/** From a connection's first moment to the end of its request; then it is answered with 408. */
export const REQUEST_TIMEOUT_MS = 10_000;

/** How often connections are looked at for that. */
export const REQUEST_CHECK_INTERVAL_MS = 1_000;

/** Of a request's line and headers. Above it: 431. */
export const MAX_HEADER_BYTES = 16_384;

/** Refused logins that wait for their answer at one time. Further ones get it at once: passwords are slow to check. */
export const MAX_REFUSED_LOGINS = 128;
