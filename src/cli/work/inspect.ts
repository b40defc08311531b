import { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { inspectLink, inspectManifestFile } from '../../vault/codec/inspect.ts'
import { parseLink } from '../../vault/codec/link.ts'
import type { CliContext } from '../context.ts'
import { formatBytes } from '../format.ts'
import { privateAddress, readManifest } from '../private-address.ts'
import { factsText } from '../table.ts'

/** Names by multicodec of what a CID may hold here. */
const CODECS: Readonly<Record<number, string>> = {
  0x55: 'raw',
  0x70: 'dag-pb',
  0x71: 'dag-cbor',
  0x72: 'libp2p-key',
  0x129: 'dag-json',
}
const HASHES: Readonly<Record<number, string>> = {
  0: 'identity',
  0x12: 'sha2-256',
  0x13: 'sha2-512',
  0x1e: 'blake3',
}

/** Says what a link, a .manifest file or a CID is; asks nobody, and tells no key. */
export async function inspect(context: CliContext, target: string): Promise<number> {
  const address = privateAddress(target)
  if (address === undefined) return inspectCid(context, target)
  const inspection =
    address.kind === 'link'
      ? inspectLink(parseLink(address.link))
      : inspectManifestFile(await readManifest(address.file))
  const { kind, power, slab, name, size, redundancy, slabs } = inspection
  const may = power === 'read' ? 'read, check and repair' : 'check and repair; it reads nothing'
  context.output.result(inspection, () =>
    factsText(context.output, [
      ['kind', kind],
      ['power', `${power}: ${may}`],
      ['slab', slab],
      ...(name === null ? [] : ([['name', name]] as [string, string][])),
      ...(size === null ? [] : ([['size', formatBytes(size)]] as [string, string][])),
      ...(redundancy === null ? [] : ([['redundancy', redundancy]] as [string, string][])),
      ...(slabs === null ? [] : ([['data slabs', slabs]] as [string, number][])),
    ]),
  )
  return 0
}

function inspectCid({ output }: CliContext, target: string): number {
  const text = target.replace(/^\/ipfs\//, '').split('/', 1)[0] ?? ''
  let cid: CID
  try {
    cid = CID.parse(text)
  } catch (cause) {
    const message = `${JSON.stringify(target)} is no link, no .manifest file and no CID`
    throw new P2pnodeError('ERR_INSPECT_TARGET', 'usage', message, { cause })
  }
  const { version, code, multihash } = cid
  const codec = CODECS[code] ?? `0x${code.toString(16)}`
  const hash = HASHES[multihash.code] ?? `0x${multihash.code.toString(16)}`
  const digest = Buffer.from(multihash.digest).toString('hex')
  output.result({ kind: 'cid', cid: cid.toString(), version, codec, hash, digest }, () =>
    factsText(output, [
      ['kind', `CID of version ${version}`],
      ['codec', codec],
      ['hash', hash],
      ['digest', digest],
    ]),
  )
  return 0
}
