/** One request with its line break. A longer one ends its connection. */
export const MAX_REQUEST_BYTES = 65_536;

/** What a client of the socket takes for an answer; a list of all users a node can have fits. */
export const MAX_ANSWER_BYTES = 67_108_864;

/** Commands served at one time. Further ones are told to try again. */
export const MAX_CONTROL_CONNECTIONS = 32;

/** How long a connection may stay without a request, and how long a command waits for its answer. */
export const CONTROL_TIMEOUT_MS = 30_000;

/** Of a Unix socket's path: what Linux leaves room for. A longer one is refused at the start. */
export const MAX_SOCKET_PATH_BYTES = 107;
