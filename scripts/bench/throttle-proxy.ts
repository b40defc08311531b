/**
 * Links of a fixed speed: a TCP proxy of its own process that lets each connection pass so many bytes a second from the node behind
 * it. `throttle-proxy.ts BYTES_PER_SECOND PORT…` prints the ports it listens on, one for each port given.
 */
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [rateText, ...ports] = process.argv.slice(2)
const bytesPerSecond = Number(rateText)
/** Passed on in slices of 20 ms, so that a link is even and not a row of bursts. */
const SLICE_MS = 20

const listening = await Promise.all(
  ports.map(async (port) => {
    const server = createServer((client) => {
      const upstream = connect({ host: '127.0.0.1', port: Number(port), noDelay: true })
      client.setNoDelay(true)
      client.on('error', () => upstream.destroy())
      upstream.on('error', () => client.destroy())
      client.on('close', () => upstream.destroy())
      client.pipe(upstream)
      void (async () => {
        let freeAtMs = performance.now()
        for await (const chunk of upstream) {
          const bytes = chunk as Buffer
          if (!client.write(bytes)) await new Promise((resolve) => client.once('drain', resolve))
          freeAtMs =
            Math.max(freeAtMs, performance.now() - SLICE_MS) + (bytes.length * 1_000) / bytesPerSecond
          const aheadMs = freeAtMs - performance.now()
          if (aheadMs > SLICE_MS) await sleep(aheadMs)
        }
        client.end()
      })().catch(() => client.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }),
)
process.stdout.write(`${JSON.stringify({ ports: listening })}\n`)
