/**
 * How a request ended, as a number on the wire. A peer is told this and nothing else: no text of an error leaves the
 * node. A number outside the table is kept as it is and treated as `failed`.
 */
export const Status = {
  /** everything that was asked for was sent */
  ok: 0,
  /** a budget of the request, or the answerer's own, was reached */
  budget: 1,
  /** part of what was asked for is not held here */
  incomplete: 2,
  /** this peer may not ask that */
  refused: 3,
  /** the asker cancelled */
  cancelled: 4,
  /** a path or name does not exist below what was asked for */
  notFound: 5,
  /** the answerer does not know this format, codec or option */
  unsupported: 6,
  /** the request contradicts itself */
  invalid: 7,
  /** too much is under way here; ask again later, or elsewhere */
  busy: 8,
  /** the answerer's own failure */
  failed: 9,
} as const
