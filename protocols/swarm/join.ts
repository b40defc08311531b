import type { Connection, PeerId, Startable, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { P2pnodeError } from '../shared/errors.ts'
import { frameBounds } from '../shared/frame-bounds.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { knockFailed, knockRefused, welcomeInvalid } from './errors.ts'
import type { DoorComponents, DoorInit } from './index.ts'
import { KNOCK_TIMEOUT_MS, MAX_KNOCK_BYTES, MAX_KNOCKS, MAX_WELCOME_BYTES } from './limits.ts'
import { decodeKnock, decodeWelcome, encodeKnock, encodeWelcome } from './messages.ts'
import type { Invitation, Welcome } from './types.ts'

export function joinProtocol(networkName: string): string {
  return `/p2pnode/${networkName}/join/1.0.0`
}

/** Answers knocks. The libp2p below it is the door's own, and has no other protocol. */
export class DoorService implements Startable {
  readonly #components: DoorComponents
  readonly #init: DoorInit
  readonly #protocol: string
  #running = new AbortController()
  #knocks = 0

  constructor(components: DoorComponents, init: DoorInit) {
    this.#components = components
    this.#init = init
    this.#protocol = joinProtocol(init.networkName)
  }

  async start(): Promise<void> {
    this.#running = new AbortController()
    const handler = (stream: Stream, connection: Connection): void => void this.#answer(stream, connection)
    await this.#components.registrar.handle(this.#protocol, handler, { maxInboundStreams: 1 })
  }

  async stop(): Promise<void> {
    await this.#components.registrar.unhandle(this.#protocol)
    this.#running.abort(new Error('the door closes'))
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const { admit, log } = this.#init
    const signal = AbortSignal.any([this.#running.signal, AbortSignal.timeout(KNOCK_TIMEOUT_MS)])
    const frames = lpStream(stream, frameBounds(MAX_KNOCK_BYTES, 4))
    const isBusy = this.#knocks >= MAX_KNOCKS
    this.#knocks += 1
    try {
      const knock = decodeKnock((await frames.read({ signal })).subarray())
      const subject = keyOf(connection.remotePeer)
      const { status, welcome } = isBusy
        ? { status: Status.busy, welcome: undefined }
        : subject === undefined
          ? { status: Status.invalid, welcome: undefined }
          : await admit(subject, knock, signal)
      await frames.write(encodeWelcome(status, welcome), { signal })
      await stream.close({ signal })
      // Whoever knocks hangs up, having read the answer; who does not is waited for as long as a knock may take.
      await closed(connection, signal)
    } catch (error) {
      // Strangers knock here, to whom no score belongs: nothing is reported.
      log.debug({ peer: connection.remotePeer.toString(), error: String(error) }, 'a knock came to nothing')
      stream.abort(error as Error)
    } finally {
      this.#knocks -= 1
      connection.abort(new Error('the knock is over'))
    }
  }
}

/**
 * Knocks over a connection to the door.
 *
 * @throws ERR_INVITATION_REFUSED (with `status` in its details), ERR_WELCOME_INVALID, ERR_DOOR_UNREACHABLE, the signal's reason
 */
export async function knock(
  connection: Connection,
  { swarm, secret, network }: Invitation,
  name: string,
  signal: AbortSignal,
): Promise<Welcome> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(KNOCK_TIMEOUT_MS)])
  try {
    const stream = await connection.newStream([joinProtocol(network)], { signal: bounded })
    const frames = lpStream(stream, frameBounds(MAX_WELCOME_BYTES, 2))
    await frames.write(encodeKnock({ secret, name }), { signal: bounded })
    const { status, welcome } = decodeWelcome(swarm, (await frames.read({ signal: bounded })).subarray())
    if (welcome === undefined) throw knockRefused(status)
    return welcome
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ProtocolViolationError) throw welcomeInvalid(error)
    throw error instanceof P2pnodeError ? error : knockFailed(error)
  }
}

/** The key in a peer id; undefined for one of another kind than Ed25519. */
export function keyOf(peer: PeerId): Uint8Array | undefined {
  return peer.type === 'Ed25519' ? peer.publicKey.raw : undefined
}

function closed(connection: Connection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      connection.removeEventListener('close', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    connection.addEventListener('close', done)
    signal.addEventListener('abort', done)
    if (connection.status !== 'open' || signal.aborted) done()
  })
}
