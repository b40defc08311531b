import type { Stream } from '@libp2p/interface'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { boundedReads, READS_HIGH_BYTES } from '../../../src/network/bounded-reads.ts'
import { YAMUX_LIMITS } from '../../../src/network/limits.ts'
import type { TestNode } from '../../support/network.ts'
import { startTestNode, stopAll } from '../../support/network.ts'

const MIB = 1024 * 1024
const PROTOCOL = '/test/reads/1.0.0'

let nodes: TestNode[] = []
afterEach(async () => {
  await stopAll(nodes)
  nodes = []
})

/** A stream from one node to the other, as both ends see it. */
async function streamBetween(): Promise<{ outbound: Stream; inbound: Stream }> {
  const [a, b] = [await startTestNode(), await startTestNode()]
  nodes = [a, b]
  const arrived = new Promise<Stream>((resolve) => {
    void b.libp2p.handle(PROTOCOL, (stream) => resolve(stream))
  })
  await a.network.connect(b.address, AbortSignal.timeout(5_000))
  const [connection] = a.libp2p.getConnections()
  const outbound = await connection!.newStream(PROTOCOL)
  return { outbound, inbound: await arrived }
}

/** Counts up in every byte, so that a lost, doubled or moved piece shows. */
function pattern(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => ((offset + index) * 31) % 251)
}

async function send(stream: Stream, totalBytes: number, pieceBytes: number): Promise<void> {
  for (let offset = 0; offset < totalBytes; offset += pieceBytes) {
    if (!stream.send(pattern(offset, Math.min(pieceBytes, totalBytes - offset)))) {
      await pEvent(stream, 'drain', { rejectionEvents: ['close'] })
    }
  }
  await stream.close()
}

describe('bounded reads', () => {
  it('give every byte in order, however slow the reader', async () => {
    const { outbound, inbound } = await streamBetween()
    const sending = send(outbound, 12 * MIB, 200_000)
    let receivedBytes = 0
    let isIntact = true
    for await (const chunk of boundedReads(inbound)) {
      const bytes = chunk.subarray()
      isIntact &&= Buffer.from(bytes).equals(pattern(receivedBytes, bytes.byteLength))
      receivedBytes += bytes.byteLength
      await new Promise((resolve) => {
        setTimeout(resolve, 1)
      })
    }
    await sending
    expect(isIntact).toBe(true)
    expect(receivedBytes).toBe(12 * MIB)
  })

  it('hold the sender back while nobody takes anything', async () => {
    const { outbound, inbound } = await streamBetween()
    const reads = boundedReads(inbound)
    let sentBytes = 0
    const piece = new Uint8Array(64 * 1024)
    const flood = (async () => {
      while (sentBytes < 64 * MIB) {
        sentBytes += piece.byteLength
        if (!outbound.send(piece)) {
          await pEvent(outbound, 'drain', { rejectionEvents: ['close'] })
        }
      }
    })().catch(() => {})
    await reads.next()
    // Nothing moves any more once the windows are full: the same figure twice, half a second apart.
    let before = -1
    while (before !== sentBytes) {
      before = sentBytes
      await new Promise((resolve) => {
        setTimeout(resolve, 500)
      })
    }
    const inFlightBytes = READS_HIGH_BYTES + 3 * YAMUX_LIMITS.maxStreamWindowBytes
    expect(sentBytes).toBeLessThan(inFlightBytes)
    expect(inbound.status).toBe('open')
    await reads.return(undefined)
    inbound.abort(new Error('enough'))
    await flood
  })

  it('end when the stream does, and fail when it is reset', async () => {
    const first = await streamBetween()
    await first.outbound.close()
    expect(await boundedReads(first.inbound).next()).toEqual({ done: true, value: undefined })
    await stopAll(nodes)

    const second = await streamBetween()
    const next = boundedReads(second.inbound).next()
    second.outbound.abort(new Error('gone'))
    await expect(next).rejects.toMatchObject({ name: 'StreamResetError' })
  })
})
