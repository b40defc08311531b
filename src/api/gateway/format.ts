import { badRequest, notAcceptable } from './errors.ts'

/** A response format that must be asked for. Without one a client gets what the content is. */
export type Format =
  | 'raw'
  | 'car'
  | 'tar'
  | 'json'
  | 'cbor'
  | 'dag-json'
  | 'dag-cbor'
  | 'ipns-record'
  /** Only by `Accept`: a page for people. */
  | 'html'

export interface CarOptions {
  duplicates: boolean
}

export interface Negotiated {
  format: Format | undefined
  /** The format comes from `Accept` alone, so that a cache could not tell the answer from another one by its URL. */
  isByHeader: boolean
  car: CarOptions
}

export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  raw: 'application/vnd.ipld.raw',
  car: 'application/vnd.ipld.car',
  tar: 'application/x-tar',
  json: 'application/json',
  cbor: 'application/cbor',
  'dag-json': 'application/vnd.ipld.dag-json',
  'dag-cbor': 'application/vnd.ipld.dag-cbor',
  'ipns-record': 'application/vnd.ipfs.ipns-record',
  html: 'text/html',
}

const BY_MEDIA_TYPE: ReadonlyMap<string, Format> = new Map(
  Object.entries(MEDIA_TYPES).map(([format, type]) => [type, format as Format]),
)

/**
 * What a request asks for: the query parameter `format` goes before `Accept` (IPIP-523); parameters of a CAR in the query go
 * before those in the header.
 *
 * @throws ERR_REQUEST_INVALID, ERR_NOT_ACCEPTABLE
 */
export function negotiate(accept: string | undefined, query: URLSearchParams): Negotiated {
  const offers = parseAccept(accept)
  const asked = query.get('format')
  const byHeader = offers.find(({ type }) => BY_MEDIA_TYPE.has(type))
  const headerFormat = byHeader === undefined ? undefined : BY_MEDIA_TYPE.get(byHeader.type)
  const format = asked === null || asked === '' ? headerFormat : knownFormat(asked)
  const carOffer = offers.find(({ type }) => type === MEDIA_TYPES.car)
  return {
    format,
    isByHeader: headerFormat !== undefined && headerFormat !== 'html' && asked !== headerFormat,
    car: format === 'car' ? carOptions(carOffer?.parameters ?? new Map(), query) : { duplicates: false },
  }
}

function knownFormat(asked: string): Format {
  if (asked === 'html' || !Object.hasOwn(MEDIA_TYPES, asked)) {
    throw badRequest(`the format ${JSON.stringify(asked.slice(0, 64))} is not known`)
  }
  return asked as Format
}

function carOptions(header: ReadonlyMap<string, string>, query: URLSearchParams): CarOptions {
  const value = (name: string): string | undefined => query.get(`car-${name}`) ?? header.get(name)
  const version = value('version')
  if (version !== undefined && version !== '1') throw notAcceptable('only version 1 of CAR is made')
  const order = value('order')
  // Depth first is among the orders of somebody who does not care.
  if (order !== undefined && order !== 'dfs' && order !== 'unk')
    throw notAcceptable('only the order dfs is made')
  const dups = value('dups')
  if (dups !== undefined && dups !== 'y' && dups !== 'n') throw notAcceptable('dups is y or n')
  return { duplicates: dups === 'y' }
}

interface Offer {
  type: string
  parameters: Map<string, string>
  quality: number
}

/** `Accept` in the client's order of preference (RFC 9110, section 12.5.1); the server bounds its length. */
function parseAccept(header: string | undefined): Offer[] {
  if (header === undefined) return []
  const offers = header.split(',').map((text): Offer => {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim().toLowerCase())
    const parameters = new Map(
      rest.map((part) => {
        const [name = '', value = ''] = part.split('=', 2)
        return [name.trim(), value.trim().replace(/^"(.*)"$/, '$1')] as const
      }),
    )
    const quality = Number(parameters.get('q') ?? 1)
    return { type, parameters, quality: Number.isFinite(quality) ? quality : 0 }
  })
  // The sort is stable: of equal quality the first named comes first.
  return offers.filter(({ quality }) => quality > 0).toSorted((left, right) => right.quality - left.quality)
}
