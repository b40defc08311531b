import type { ReadAhead } from '../../content/read/block-reader.ts'
import type { CarBudget } from '../../content/read/scoped-car.ts'
import type { GatewayTimeouts } from './types.ts'

/** Every bound of the gateway that is not in the configuration, with its unit and its reason. */

/** A request line and its headers: a long path, percent-encoded, and what browsers send along. */
export const MAX_HEADER_BYTES = 16 * 1024

/** Names below a root. Each costs a block, and stands as a CID in `X-Ipfs-Roots`: 64 of them are 4 KiB. */
export const MAX_PATH_NAMES = 64

/** Connections beyond the requests that are answered: browsers keep six open without asking for anything. */
export const IDLE_CONNECTIONS = 512

/** The same for one address, beyond the requests that it may have answered: a household of browsers. */
export const IDLE_CONNECTIONS_PER_ADDRESS = 32

/** Bodies come with routes of other services alone, and are records and lists of a few of them. */
export const MAX_BODY_BYTES = 64 * 1024

/** What a reader that does not read costs, beside the block that is being sent and the one that is read next. */
export const FILE_READ_AHEAD: ReadAhead = { bytes: 2 * 1024 * 1024, blocks: 8 }

/** Written to a client at a time: what it must take within `downloadStallMs`, which makes 4 KiB/s the least it may read at. */
export const WRITE_BYTES = 256 * 1024

/**
 * Blocks of a CAR: 4 TiB in blocks of 1 MiB. Paths through a small DAG can be without number, and with `dups=y` each
 * would be sent.
 */
export const CAR_BUDGET: CarBudget = { blocks: 4_000_000, remembered: 100_000, waiting: 100_000 }

/** Bytes of a TAR made before the head of its answer is sent, so that what cannot be one gets a proper status. */
export const TAR_HELD_BYTES = 64 * 1024

/** Digest of an identity CID, which is content inside of an address. Kubo allows the same. */
export const MAX_IDENTITY_BYTES = 128

/** Entries of a directory's page; a page of this size is 3 MiB. */
export const MAX_LISTED_ENTRIES = 10_000

/** Ranges of a request that are answered apart; more only come from somebody who tries what happens. */
export const MAX_RANGES = 8

/** First bytes of a file that tell its format. */
export const SNIFFED_BYTES = 4_100

/** Files whose format is remembered, about 200 bytes each. */
export const MAX_REMEMBERED_TYPES = 4_096

/** A file that is served as JSON on demand is checked to be JSON, inline: some milliseconds. */
export const MAX_CHECKED_JSON_BYTES = 1024 * 1024

/** A dag-cbor or dag-json block that its page shows as text. */
export const MAX_SHOWN_VALUE_BYTES = 64 * 1024

/** The specification's own bound on a `_redirects` file. */
export const MAX_REDIRECTS_FILE_BYTES = 64 * 1024

/** A DNS label (RFC 1035, section 2.3.4). */
export const MAX_LABEL_CHARACTERS = 63

/** Proposed to clients that come at a bad time, in seconds. */
export const RETRY_AFTER_SECONDS = 5

export const TIMEOUTS: GatewayTimeouts = {
  /** Headers of a request must arrive within this, also on a connection that never sent a byte. */
  headersMs: 10_000,
  /** How often the server looks for connections that are late. */
  checkingIntervalMs: 2_000,
  /** An idle connection between two requests. */
  keepAliveMs: 15_000,
  /** A client that takes nothing for so long is gone. */
  downloadStallMs: 60_000,
  /** How long a stop waits for running answers before their connections are destroyed. */
  closeGraceMs: 2_000,
}
