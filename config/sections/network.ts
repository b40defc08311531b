import { Object as Section } from 'typebox'
import { boolean, choice, duration, integer, list, size, text } from '../leaves.ts'

/** The keys of `network`: who this node talks to, and how. */
export const network = Section({
  mode: choice(['private', 'public'], {
    description:
      'private: only the addresses given here and the local network are contacted. public: also the public IPFS network.',
    default: 'private',
  }),
  name: text({
    description:
      'Name of the network: part of every protocol id and topic; nodes of different names never talk.',
    default: 'main',
    pattern: '^[a-z0-9][a-z0-9._-]*$',
    form: 'lower-case letters, digits, ".", "_" and "-", beginning with a letter or digit',
    maxLength: 63,
  }),
  listen: list('multiaddrs', {
    description:
      'Multiaddrs to accept connections on; replaces the default list, of which those of transports that are off fall out.',
    default: [
      '/ip4/0.0.0.0/tcp/4700',
      '/ip4/0.0.0.0/tcp/4701/ws',
      '/ip4/0.0.0.0/udp/4700/quic-v1',
      '/ip4/0.0.0.0/udp/4702/webrtc-direct',
      '/ip6/::/tcp/4700',
      '/ip6/::/tcp/4701/ws',
      '/ip6/::/udp/4700/quic-v1',
      '/ip6/::/udp/4702/webrtc-direct',
    ],
  }),
  announce: list('multiaddrs', {
    description:
      'Multiaddrs that others are told to reach this node at, in place of those it finds out: for a forwarded port or a name.',
    default: [],
  }),
  bootstrap: list('bootstrap', {
    description: 'Multiaddrs, each ending in /p2p/PEER, of nodes to connect to at start.',
    default: [],
  }),
  dht: choice(['auto', 'server', 'client'], {
    description:
      'Part in the DHT. server: keeps and answers records. client: only asks. auto: server while it can be reached; on a private network that is taken for granted until others see it behind a NAT.',
    default: 'auto',
  }),
  mdns: boolean({ description: 'Find peers on the local network by multicast DNS.', default: true }),
  autonat: boolean({
    description:
      'Have other nodes try whether this one can be reached from outside, and try others (AutoNAT v2).',
    default: true,
  }),
  holePunching: boolean({
    description: 'Try to turn a connection through a relay into a direct one (DCUtR).',
    default: true,
  }),
  upnp: boolean({
    description: 'Ask the router of the local network to forward ports to this node (UPnP).',
    default: false,
  }),
  iceServers: list('iceServers', {
    description:
      'STUN servers, as stun:HOST:PORT, that tell this node its address from outside for WebRTC; none are asked unless named here.',
    default: [],
  }),
  psk: boolean({
    description:
      'Put every connection under the pre-shared key in HOME/swarm.key, as Kubo does; TCP and WebSocket alone can.',
    default: false,
  }),
  minConnections: integer({
    description: 'Connections below which the node looks for further peers.',
    default: 8,
    minimum: 0,
    maximum: 10_000,
  }),
  maxConnections: integer({
    description: 'Connections above which the least useful are closed and new ones refused.',
    default: 300,
    minimum: 1,
    maximum: 10_000,
  }),
  maxInboundPerIpPerSecond: integer({
    description: 'New inbound connections that one address may open in a second.',
    default: 5,
    minimum: 1,
    maximum: 100_000,
  }),
  peers: Section({
    protect: list('peers', {
      description: 'Peer ids whose connections are never given up for others.',
      default: [],
    }),
    retention: duration({
      description: 'How long a peer that is away is remembered.',
      default: '30d',
      from: '1h',
      to: '3650d',
    }),
  }),
  transports: Section({
    tcp: boolean({ description: 'TCP (addresses that end in /tcp/PORT).', default: true }),
    websocket: boolean({ description: 'WebSocket (/tcp/PORT/ws, and /wss to dial).', default: true }),
    quic: boolean({ description: 'QUIC (/udp/PORT/quic-v1).', default: true }),
    webrtcDirect: boolean({
      description: 'WebRTC without signalling (/udp/PORT/webrtc-direct).',
      default: true,
    }),
    webrtc: boolean({
      description:
        'WebRTC between two nodes behind NATs, arranged through a relay (/p2p-circuit/webrtc); offered where network.iceServers names a STUN server, or by /webrtc in network.listen.',
      default: true,
    }),
  }),
  relay: Section({
    client: choice(['auto', 'always', 'never'], {
      description:
        'Slots at relays, through which others reach this node. auto: while it is behind a NAT and cannot be reached. always: from the start. never: nor does it dial through relays.',
      default: 'auto',
    }),
    server: boolean({
      description: 'Relay between other nodes that cannot reach each other.',
      default: false,
    }),
    maxReservations: integer({
      description: 'Slots that this node as a relay gives to others at once.',
      default: 128,
      minimum: 1,
      maximum: 10_000,
    }),
    dataLimit: size({
      description: 'Bytes that this node as a relay carries over one relayed connection, both ways together.',
      default: '1GiB',
      from: '64KiB',
      // protons-runtime 7.1 writes a uint64 from 2 GiB on wrongly, and the other side then understands nothing.
      to: '2047MiB',
    }),
    timeLimit: duration({
      description: 'How long this node as a relay holds one relayed connection.',
      default: '1h',
      from: '10s',
      to: '7d',
    }),
  }),
})
