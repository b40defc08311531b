/** A process that listens on a socket of WebRTC-direct: prints its port, then the name of each who knocks. */
import { leaseMuxSocket } from '../../src/network/transports/mux-socket.ts'

const lease = await leaseMuxSocket(process.argv[2] ?? '127.0.0.1', 0, ({ ufrag }) => console.log(ufrag))
console.log(lease.address().port)
