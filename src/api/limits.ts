/** Every bound of the HTTP API, with its unit and its reason. */

/** JSON bodies are parameters, never content: the largest is an upload's parameters with a long name. */
export const MAX_JSON_BODY_BYTES = 1024 * 1024

/**
 * One part of an upload. Parts bound what a client sends again after a broken connection; they are streamed, so a
 * part costs no memory.
 */
export const MAX_UPLOAD_PART_BYTES = 64 * 1024 * 1024

/** A request line and its headers; a bearer token, a range and an address of some hundred characters fit many times. */
export const MAX_HEADER_BYTES = 16 * 1024

/** Addresses (`/ipfs/CID/path`) may hold a long path, percent-encoded. */
export const MAX_ADDRESS_LENGTH = 4096

/** One part of a path: a CID, a peer id, the id of a job. */
export const MAX_PARAM_LENGTH = 512

/** A capability link has about 105 characters; one of a later kind may be longer, and is then refused by what reads it. */
export const MAX_LINK_LENGTH = 512

/** An invitation to a private network, with the longest addresses. */
export const MAX_INVITATION_LENGTH = 4_096

/** 24 words of at most 8 letters, and whatever white space was typed between them. */
export const MAX_PHRASE_LENGTH = 1024

export const MAX_PASSPHRASE_LENGTH = 1024

/** Reads of private files whose figures are kept; each holds some dozens of peers. */
export const MAX_LOGGED_READS = 256

/** An exported owner's state or a .manifest file: both grow with files and slabs, and are read whole. */
export const MAX_VAULT_FILE_BYTES = 64 * 1024 * 1024

/** Names that people give: pins, tokens, downloads. File systems allow 255 bytes. */
export const MAX_NAME_LENGTH = 255

/** Open connections: a dashboard holds six, a script one; the rest would be somebody filling descriptors. */
export const MAX_CONNECTIONS = 512

/** Longest answer of `GET /jobs/:id/wait`; the caller asks again. */
export const MAX_JOB_WAIT_MS = 60_000

/** Failed authentications from one address in a minute before they are answered 429. */
export const MAX_FAILED_AUTH_PER_MINUTE = 30

/** Tokens besides the root token: each request compares with every one of them. */
export const MAX_TOKENS = 256

/** `last_used_ms` is written at most so often a token: it tells an operator whether a token is in use, not when exactly. */
export const TOKEN_TOUCH_INTERVAL_MS = 60_000

/** Events kept for clients that come back. At four progress events a second and job: minutes of a busy node. */
export const EVENT_RING_EVENTS = 4_096

/** The same ring in bytes: a job's record may be large. */
export const EVENT_RING_BYTES = 2 * 1024 * 1024

/** Progress of one job is sent at most so often; changes of its state at once. */
export const JOB_EVENT_INTERVAL_MS = 250

/** Jobs whose progress waits to be sent. More unfinished jobs than this report their changes of state only. */
export const MAX_TRACKED_JOBS = 1_024

/**
 * Unsent bytes after which an event client counts as too slow and is dropped; it resumes by its last event id. Larger
 * than the ring, or a client that resumes would be dropped for what it asked for.
 */
export const EVENT_CLIENT_QUEUE_BYTES = EVENT_RING_BYTES + 1024 * 1024

/** Event streams open at once: with their queues full they hold less than 100 MiB. */
export const MAX_EVENT_CLIENTS = 32

/** How often the node's own state (health, storage) is looked at for the `status` event, while anybody listens. */
export const STATUS_SAMPLE_INTERVAL_MS = 2_000

/** Rows a listing returns at most. */
export const MAX_LIST_ROWS = 1_000

/** Times of the server in milliseconds; tests pass shorter ones. */
export interface Timeouts {
  readonly headersMs: number
  readonly checkingIntervalMs: number
  readonly jsonBodyMs: number
  readonly keepAliveMs: number
  readonly uploadIdleMs: number
  readonly downloadStallMs: number
  readonly eventHeartbeatMs: number
  readonly closeGraceMs: number
}

export const TIMEOUTS: Timeouts = {
  /** Headers of a request must arrive within this, also on a connection that never sent a byte. */
  headersMs: 10_000,
  /** How often the server looks for connections that are late; Node's default of 30 s would triple the timeout above. */
  checkingIntervalMs: 2_000,
  /** A JSON body must be whole within this. */
  jsonBodyMs: 10_000,
  /** An idle connection between two requests. Longer than a script's pauses, shorter than a leak matters. */
  keepAliveMs: 30_000,
  /** No byte of an upload's part for so long, while the job would take one, ends the request. */
  uploadIdleMs: 60_000,
  /** A reader that takes no byte for so long is gone. A person who pauses a player is not: it reads ahead. */
  downloadStallMs: 120_000,
  /** A comment line that keeps proxies and idle timeouts from ending a quiet stream. */
  eventHeartbeatMs: 15_000,
  /** How long `close` waits for running requests before their connections are destroyed. */
  closeGraceMs: 3_000,
}

/** An empty line in a quiet stream of messages: below the idle timeouts of clients and proxies. */
export const MESSAGE_HEARTBEAT_MS = 15_000
