import { Object as Section } from 'typebox'
import { boolean, duration, integer, list, text } from '../leaves.ts'
import { host, port } from './common.ts'

/** The keys of `gateway`: public content over HTTP. */
export const gateway = Section({
  host: host('Address that the HTTP gateway for public content listens on.', '127.0.0.1'),
  port: port('Port of the gateway; 0 takes a free one.', 4788),
  enabled: boolean({
    description: 'Serve public content over HTTP, to browsers and to clients that verify it.',
    default: true,
  }),
  fetch: boolean({
    description: 'Get what is asked for and not held from others; false: only what is held is served.',
    default: true,
  }),
  deserialized: boolean({
    description:
      'Serve files, directories and websites as browsers take them; false: only blocks, CARs and signed records, which a client verifies.',
    default: true,
  }),
  routing: boolean({
    description:
      'Answer who has content, where peers are, and records of names (/routing/v1), and publish records for whoever asks.',
    default: true,
  }),
  hosts: list('hosts', {
    description:
      'Names under which each CID gets an origin of its own (CID.ipfs.NAME), and to which paths are redirected there.',
    default: ['localhost'],
  }),
  denied: list('cids', {
    description: 'CIDs of blocks that are never served over HTTP, whatever is below or above them.',
    default: [],
  }),
  timeout: duration({
    description: 'How long a request may wait for its first byte.',
    default: '1m',
    from: '100ms',
    to: '1h',
  }),
  maxRequests: integer({
    description: 'Requests answered at a time, up to 4 MiB each; more are told to come later.',
    default: 128,
    minimum: 1,
    maximum: 10_000,
  }),
  maxRequestsPerAddress: integer({
    description:
      'Of them, those of one address (of IPv6, a /64); this machine, where a proxy may stand in front, is not counted.',
    default: 32,
    minimum: 1,
    maximum: 10_000,
  }),
  publicUrl: text({
    description: 'Where everybody reaches this gateway, as peers are told; empty: they are told of none.',
    default: '',
    pattern: '^(?:https?://[^\\s/?#@]+(?:/[^\\s?#]*)?)?$',
    form: 'an http or https URL without credentials and query, or nothing',
    maxLength: 256,
  }),
})
