import { Object as Section } from 'typebox'
import { duration, integer, number, rate, text } from '../leaves.ts'

/** An address to listen on. */
export function host(description: string, otherwise: string) {
  return text({
    description,
    default: otherwise,
    pattern: '^[A-Za-z0-9:._-]+$',
    form: 'an IP address or a host name',
    maxLength: 253,
  })
}

/** A port to listen on. */
export function port(description: string, otherwise: number) {
  return integer({ description, default: otherwise, minimum: 0, maximum: 65_535 })
}

/** How long something may take. */
export function deadline(what: string) {
  return duration({ description: `How long ${what}.`, default: '30s', from: '100ms', to: '1h' })
}

/** A least score; the model behind it is in src/trust/model. */
export function threshold(right: string, otherwise: number) {
  return number({
    description: `Least score of a peer to ${right}.`,
    default: otherwise,
    minimum: 0,
    maximum: 1,
  })
}

/** A rate that data is held to. */
export function bandwidth(description: string) {
  return rate({ description, default: 'unlimited', from: '4KiB/s', to: 'unlimited' })
}

/** Such a rate for each direction. */
export function bothWays(what: string) {
  return Section({
    in: bandwidth(`Received of ${what}.`),
    out: bandwidth(`Sent of ${what}.`),
  })
}
