import { isIP, isIPv6 } from 'node:net'
import type { Source } from './assignments.ts'
import { transportOf } from './listen.ts'
import type { Problem } from './problems.ts'
import { HIDDEN, shown } from './problems.ts'
import { MODE_PROFILES } from './profiles/index.ts'
import { doOverlap, parseSchedule, SCHEDULE_FORM, type ScheduleEntry } from './schedule.ts'
import type { Config, KeyPath } from './schema.ts'
import { formatSize } from './units.ts'

export type Sources = ReadonlyMap<KeyPath, Source>

/** One way in which values that are right by themselves are wrong together: the key to name and what to say. */
type Rule = (config: Config) => Iterable<{ key: KeyPath; message: string }>

/** libp2p's pre-shared key protects what is a plain stream of bytes below; these bring their own encryption and never ask for it. */
const KEYLESS_TRANSPORTS = [
  ['quic', 'QUIC'],
  ['webrtcDirect', 'WebRTC-direct'],
  ['webrtc', 'WebRTC'],
] as const

/** Contradictions between keys, and forms that a pattern cannot say. */
const RULES: readonly Rule[] = [
  function* offerWithinQuota({ storage }) {
    if (storage.offerBytes > storage.quotaBytes) {
      const [offer, quota] = [formatSize(storage.offerBytes), formatSize(storage.quotaBytes)]
      yield {
        key: 'storage.offer',
        message: `found ${offer}, allowed: at most storage.quota, which is ${quota}`,
      }
    }
  },
  function* minWithinMax({ network }) {
    if (network.minConnections > network.maxConnections) {
      const message = `found ${network.minConnections}, allowed: at most network.maxConnections, which is ${network.maxConnections}`
      yield { key: 'network.minConnections', message }
    }
  },
  function* peerWithinGlobal({ limits: { bandwidth } }) {
    for (const way of ['in', 'out'] as const) {
      const name = `${way}BytesPerSecond` as const
      // "unlimited" a peer is no contradiction: the global limit holds for it too.
      if (Number.isFinite(bandwidth.perPeer[name]) && bandwidth.perPeer[name] > bandwidth.global[name]) {
        yield {
          key: `limits.bandwidth.perPeer.${way}`,
          message: `allowed: at most limits.bandwidth.global.${way}`,
        }
      }
    }
  },
  function* protocolWithinGlobal({ limits: { bandwidth } }) {
    for (const protocol of ['content', 'bitswap', 'chunk', 'gateway', 'torrent'] as const) {
      for (const way of ['in', 'out'] as const) {
        const rate = bandwidth.protocols[protocol][`${way}BytesPerSecond`]
        if (Number.isFinite(rate) && rate > bandwidth.global[`${way}BytesPerSecond`]) {
          yield {
            key: `limits.bandwidth.protocols.${protocol}.${way}`,
            message: `allowed: at most limits.bandwidth.global.${way}`,
          }
        }
      }
    }
  },
  function* scheduleReads({ limits: { bandwidth } }) {
    const key = 'limits.bandwidth.schedule'
    const read: { text: string; entry: ScheduleEntry }[] = []
    for (const text of bandwidth.schedule) {
      try {
        const entry = parseSchedule(text)
        const other = read.find((before) => doOverlap(before.entry, entry))
        if (other !== undefined) {
          const message = `found ${shown(text)}, which is at the same time as ${shown(other.text)}, allowed: one rate at a time`
          yield { key, message }
        }
        read.push({ text, entry })
      } catch (error) {
        const message = `found ${shown(text)}, ${(error as Error).message}, allowed: ${SCHEDULE_FORM}`
        yield { key, message }
      }
    }
  },
  function* protectedPeersAreIds({ network: { peers } }) {
    for (const peer of peers.protect) {
      // Base58 of a key (Ed25519, secp256k1) or of its hash (RSA).
      if (!/^(12D3Koo|16Uiu2HA|Qm)[1-9A-HJ-NP-Za-km-z]{30,60}$/.test(peer)) {
        yield {
          key: 'network.peers.protect',
          message: `found ${shown(peer)}, allowed: a peer id, as p2pnode id prints it`,
        }
      }
    }
  },
  function* portsApart({ api, gateway }) {
    if (api.port !== 0 && api.port === gateway.port && api.host === gateway.host) {
      yield {
        key: 'gateway.port',
        message: `found ${gateway.port}, which is api.port, allowed: another port, or 0`,
      }
    }
  },
  function* hostsExist({ api, gateway }) {
    for (const [key, host] of [
      ['api.host', api.host],
      ['gateway.host', gateway.host],
    ] as const) {
      if (!isHost(host)) yield { key, message: `found ${shown(host)}, allowed: an IP address or a host name` }
    }
  },
  function* gatewayHosts({ gateway }) {
    for (const host of gateway.hosts) {
      if (!isHost(host) || isIP(host) !== 0 || host !== host.toLowerCase()) {
        yield {
          key: 'gateway.hosts',
          message: `found ${shown(host)}, allowed: a host name in lower case, without a port`,
        }
      }
    }
  },
  function* deniedCids({ gateway }) {
    for (const cid of gateway.denied) {
      // Whatever is not decodable in the end is told by the gateway at its start; this finds what was mistyped.
      if (
        !/^(?:Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{8,}|z[1-9A-HJ-NP-Za-km-z]{8,}|k[0-9a-z]{8,})$/.test(cid)
      ) {
        yield { key: 'gateway.denied', message: `found ${shown(cid)}, allowed: a CID` }
      }
    }
  },
  function* publicOnly({ network, content }) {
    if (network.mode === 'public') return
    const way = 'allowed: false, or network.mode public (this network is private)'
    if (content.steps.ipfs) yield { key: 'content.steps.ipfs', message: `found true, ${way}` }
    if (content.steps.gateways) yield { key: 'content.steps.gateways', message: `found true, ${way}` }
    const known: readonly unknown[] = MODE_PROFILES.public['network.bootstrap'] as readonly string[]
    const stray = network.bootstrap.find((address) => known.includes(address))
    if (stray !== undefined) {
      const message = `found ${shown(stray)}, an entry point of the public network, allowed: nodes of your own, or network.mode public`
      yield { key: 'network.bootstrap', message }
    }
  },
  function* gatewaysToAsk({ content }) {
    if (content.steps.gateways && content.gateways.length === 0) {
      yield {
        key: 'content.steps.gateways',
        message: 'found true, allowed: false while content.gateways is empty',
      }
    }
  },
  function* publicGateway({ gateway }) {
    const { enabled, publicUrl } = gateway
    if (publicUrl === '') return
    const key = 'gateway.publicUrl'
    if (!URL.canParse(publicUrl)) yield { key, message: `found ${shown(publicUrl)}, allowed: a URL` }
    else if (!enabled) yield { key, message: 'found a URL, allowed: nothing while gateway.enabled is false' }
  },
  function* gatewayUrls({ content }) {
    for (const address of content.gateways) {
      const wrong = wrongGateway(address)
      if (wrong !== undefined) yield { key: 'content.gateways', message: `found ${shown(address)}, ${wrong}` }
    }
  },
  function* someTransport({ network: { transports } }) {
    if (!Object.values(transports).includes(true)) {
      yield {
        key: 'network.transports.tcp',
        message: 'found false, allowed: true, or another transport that is on (all of them are off)',
      }
    }
  },
  function* listensOnWhatIsOn({ network }) {
    for (const address of network.listen) {
      const name = transportOf(address)
      if (name !== undefined && !network.transports[name]) {
        yield {
          key: 'network.listen',
          message: `found ${shown(address)}, allowed: an address of another transport, or network.transports.${name} true (it is off)`,
        }
      }
    }
  },
  function* underNetworkKey({ network: { psk, mode, transports } }) {
    if (!psk) return
    if (mode === 'public') {
      const message =
        'found true, allowed: false while network.mode is public (nobody there has the pre-shared key)'
      yield { key: 'network.psk', message }
    }
    for (const [name, spoken] of KEYLESS_TRANSPORTS) {
      if (!transports[name]) continue
      const message = `found true, allowed: false while network.psk is true (${spoken} ignores the pre-shared key, so that anybody could come in by it)`
      yield { key: `network.transports.${name}`, message }
    }
  },
  function* relaysByRelay({ network }) {
    const stray = network.listen.find((address) => /\/p2p-circuit(\/|$)/.test(address))
    if (stray !== undefined) {
      yield {
        key: 'network.listen',
        message: `found ${shown(stray)}, allowed: addresses of this machine; slots at relays are a matter of network.relay.client`,
      }
    }
  },
  function* iceServers({ network }) {
    for (const server of network.iceServers) {
      if (!/^stun:[^\s/?#@]+$/.test(server)) {
        yield {
          key: 'network.iceServers',
          message: `found ${shown(server)}, allowed: stun:HOST or stun:HOST:PORT`,
        }
      }
    }
  },
  function* dnslinks({ content }) {
    const domains = new Set<string>()
    for (const link of content.dnslink) {
      const [, domain] =
        /^((?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63})=\/ip[fn]s\/[^/\s]+(?:\/.*)?$/i.exec(link) ?? []
      const name = domain?.toLowerCase()
      if (name === undefined || domains.has(name)) {
        const wrong = name === undefined ? '' : ', a domain that is listed twice'
        yield {
          key: 'content.dnslink',
          message: `found ${shown(link)}${wrong}, allowed: DOMAIN=/ipfs/CID or DOMAIN=/ipns/NAME, each domain once`,
        }
      } else domains.add(name)
    }
  },
  function* dataWithinColumns({ vault }) {
    const [, k, n] = /^rs:(\d+)\/(\d+)$/.exec(vault.redundancy) ?? []
    if (k !== undefined && Number(k) >= Number(n)) {
      yield {
        key: 'vault.redundancy',
        message: `found ${shown(vault.redundancy)}, allowed: rs:K/N with K < N`,
      }
    }
  },
]

/** Every contradiction in a complete configuration. Multiaddrs are checked apart, by `checkMultiaddrs`. */
export function checkRules(config: Config, sources: Sources): Problem[] {
  return RULES.flatMap((rule) => [...rule(config)]).map(({ key, message }) => ({
    key,
    message,
    where: whereOf(sources, key),
  }))
}

/**
 * The addresses that are not multiaddrs, and bootstrap addresses without a peer id, which libp2p would skip in silence.
 *
 * Only lists that an operator wrote are checked: those of the profiles are checked by a test, and the parser then need
 * not be loaded.
 */
export async function checkMultiaddrs(config: Config, sources: Sources): Promise<Problem[]> {
  const { network, swarm } = config
  const lists = [
    ['network.listen', network.listen],
    ['network.announce', network.announce],
    ['network.bootstrap', network.bootstrap],
    ['swarm.listen', swarm.listen],
    ['swarm.announce', swarm.announce],
  ] as const
  const written = lists.filter(([path, addresses]) => {
    const layer = sources.get(path)?.layer
    return addresses.length > 0 && layer !== 'default' && layer !== 'mode' && layer !== 'role'
  })
  if (written.length === 0) return []
  const { multiaddr } = await import('@multiformats/multiaddr')
  return written.flatMap(([path, addresses]) => {
    return addresses.flatMap((address) => {
      const message = wrongMultiaddr(address, path === 'network.bootstrap')
      return message === undefined
        ? []
        : [{ key: path, message: `found ${shown(address)}, ${message}`, where: whereOf(sources, path) }]
    })
  })

  function wrongMultiaddr(address: string, needsPeer: boolean): string | undefined {
    try {
      const components = multiaddr(address).getComponents()
      if (components.length === 0) return 'allowed: a multiaddr such as /ip4/0.0.0.0/tcp/4700'
      if (needsPeer && components.at(-1)?.name !== 'p2p') return 'allowed: a multiaddr that ends in /p2p/PEER'
      return undefined
    } catch (error) {
      return `which is not a multiaddr (${(error as Error).message}), allowed: one such as /ip4/192.0.2.1/tcp/4700`
    }
  }
}

function isHost(host: string): boolean {
  if (host.includes(':')) return isIPv6(host)
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4
  // RFC 1123, section 2.1, with the underscore that container networks allow in names.
  return host.split('.').every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label))
}

function wrongGateway(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return 'allowed: an http or https URL'
  if (url.username === HIDDEN)
    return `in which ${HIDDEN} stands for a hidden secret, allowed: the URL with its real credentials`
  if (url.search !== '' || url.hash !== '') return 'allowed: a URL without a query and fragment'
  return undefined
}

function whereOf(sources: Sources, key: KeyPath): string {
  return sources.get(key)?.where ?? 'default'
}
