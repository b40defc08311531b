import { LRUCache } from 'lru-cache'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import { nameNotFound, targetInvalid } from './errors.ts'
import {
  DNS_NEGATIVE_TTL_MS,
  DNS_TIMEOUT_MS,
  DNS_TRIES,
  DNS_TTL_MS,
  MAX_DNS_ANSWERS,
  MAX_TXT_CHARACTERS,
  MAX_TXT_RECORDS,
} from './limits.ts'

/** The TXT records of a host; rejects where there are none or nobody answers. */
export type LookupTxt = (host: string) => Promise<string[]>

export interface DnsLinkOptions {
  /** `DOMAIN=/ipfs/…` or `DOMAIN=/ipns/…`, out of the configuration: asked first, and never of the DNS. */
  links: readonly string[]
  /** Undefined where no DNS may be asked. */
  lookupTxt?: LookupTxt | undefined
}

interface Answer {
  value: string | undefined
  /** Why there is none. */
  reason: string
}

const MARK = 'dnslink='

/** Where domains lead: DNSLink (https://dnslink.dev), out of the configuration and the DNS. */
export class DnsLinks {
  readonly #links: ReadonlyMap<string, string>
  readonly #lookupTxt: LookupTxt | undefined
  readonly #answers = new LRUCache<string, { answer: Promise<Answer> }>({ max: MAX_DNS_ANSWERS })

  constructor({ links, lookupTxt }: DnsLinkOptions) {
    this.#links = new Map(
      links.map((link) => {
        const at = link.indexOf('=')
        return [link.slice(0, at).toLowerCase(), link.slice(at + 1)]
      }),
    )
    this.#lookupTxt = lookupTxt
  }

  /** @throws ERR_NAME_NOT_FOUND, ERR_NAME_TARGET */
  async resolve(
    domain: string,
    { signal, offline = false }: { signal: AbortSignal; offline?: boolean },
  ): Promise<{ value: string; ttlMs: number }> {
    const listed = this.#links.get(domain)
    if (listed !== undefined) return { value: listed, ttlMs: DNS_TTL_MS }
    const lookup = this.#lookupTxt
    if (lookup === undefined)
      throw nameNotFound(domain, 'content.dnslink does not list it, and a private network asks no DNS')
    let kept = this.#answers.get(domain)
    if (kept === undefined && offline) throw nameNotFound(domain, 'offline, the DNS is not asked')
    if (kept === undefined) {
      // What is asked already is not asked again; how long the answer stays is known when it is there.
      kept = { answer: this.#ask(lookup, domain) }
      this.#answers.set(domain, kept, { ttl: DNS_TTL_MS })
    }
    const { value, reason } = await unlessAborted(kept.answer, signal)
    if (value === undefined) throw nameNotFound(domain, reason)
    if (!/^\/ip[fn]s\/./.test(value)) throw targetInvalid(domain, value)
    return { value, ttlMs: this.#answers.getRemainingTTL(domain) }
  }

  async #ask(lookup: LookupTxt, domain: string): Promise<Answer> {
    const answer = await linkOf(lookup, domain)
    if (answer.value === undefined)
      this.#answers.set(domain, { answer: Promise.resolve(answer) }, { ttl: DNS_NEGATIVE_TTL_MS })
    return answer
  }
}

/** The record belongs below `_dnslink.`; old ones stand at the domain itself. */
async function linkOf(lookup: LookupTxt, domain: string): Promise<Answer> {
  let reason = 'it has no DNSLink record'
  for (const host of [`_dnslink.${domain}`, domain]) {
    try {
      const links = (await lookup(host))
        .slice(0, MAX_TXT_RECORDS)
        .filter((text) => text.startsWith(MARK) && text.length <= MAX_TXT_CHARACTERS)
        .map((text) => text.slice(MARK.length).trim())
        // Of several the first by code points, as the specification has it: everybody then takes the same one.
        .sort()
      if (links[0] !== undefined) return { value: links[0], reason }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOTFOUND' && code !== 'ENODATA') reason = `the DNS did not answer (${code ?? 'failed'})`
    }
  }
  return { value: undefined, reason }
}

/** Asks the resolvers of this machine; loaded when the first domain is asked for. */
export function systemTxt(): LookupTxt {
  return async (host) => {
    const { Resolver } = await import('node:dns/promises')
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES })
    return (await resolver.resolveTxt(host)).map((parts) => parts.join(''))
  }
}
