/**
 * Helia's own Bitswap between two processes with blocks in memory: what public content is exchanged with elsewhere.
 * `bitswap-peer.ts server BYTES` prints address and root; `bitswap-peer.ts client ADDRESS ROOT` reads the file.
 */
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const [role, argument, root] = process.argv.slice(2)

const helia = withBitswap(
  withLibp2pLight(createHeliaLight(), {
    addresses: { listen: role === 'server' ? ['/ip4/127.0.0.1/tcp/0'] : [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({ streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024, initialStreamWindowSize: 256 * 1024 } }),
    ],
    services: { identify: identify() },
  }),
)
await helia.start()
const fs = unixfs(helia)

if (role === 'server') {
  const bytes = Number(argument)
  const cid = await fs.addByteStream(
    (async function* () {
      for (let at = 0; at < bytes; at += 2 ** 20) {
        const chunk = new Uint8Array(2 ** 20)
        // Every block must be another one, or the whole file would be a single block.
        new DataView(chunk.buffer).setFloat64(0, at)
        yield chunk
      }
    })(),
  )
  process.stdout.write(
    `${JSON.stringify({ address: helia.libp2p.getMultiaddrs()[0]?.toString(), root: cid.toString() })}\n`,
  )
} else {
  await helia.libp2p.dial(multiaddr(argument))
  const startedAtMs = performance.now()
  let bytes = 0
  for await (const chunk of fs.cat(CID.parse(root ?? ''), { signal: AbortSignal.timeout(300_000) }))
    bytes += chunk.length
  process.stdout.write(`${JSON.stringify({ bytes, durationMs: performance.now() - startedAtMs })}\n`)
  process.exit(0)
}
