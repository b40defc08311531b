import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { printDetached } from '../job.ts'
import { send, sendForResult, type Sending } from '../send.ts'
import { openSource } from '../files/open-source.ts'

export interface PutOptions {
  redundancy?: string
  name?: string
  manifest?: string
  allowDegraded?: boolean
  detach?: boolean
}

interface PutResult {
  link: string
  manifest: string
  size: number
  sha256: string | null
  stored: number
  redundancy: string
  holders: number
  expires: string
  files: number
  missing: number
}

/** It holds the read key. */
const MANIFEST_MODE = 0o600

export async function put(context: CliContext, path: string, options: PutOptions): Promise<number> {
  const source = await openSource(context, path)
  // Refused before anything is sent.
  const manifest =
    options.manifest === undefined ? undefined : await Target.at(options.manifest, { force: false })
  const params: Schema<'PutParams'> = {
    source: source.isTree ? 'tree' : 'file',
    fileName: source.name,
    name: options.name ?? source.name,
    ...(options.redundancy === undefined ? {} : { redundancy: options.redundancy }),
    allowDegraded: options.allowDegraded === true,
    preserveMode: source.isTree,
  }
  return withClient(context, async (client) => {
    const sending: Sending = {
      kind: 'put',
      params,
      fingerprint: source.fingerprint,
      sizeBytes: source.sizeBytes,
      label: `putting ${source.name}`,
      bytesFrom: source.bytesFrom,
    }
    if (options.detach === true) {
      printDetached(context, (await send(context, client, sending)).job)
      return 0
    }
    const result = await sendForResult<PutResult>(context, client, sending)
    if (manifest !== undefined) {
      const download = await client.downloadPosted('/api/v1/vault/manifests/file', {
        body: { link: result.link },
        signal: context.signal,
      })
      await save(download.body, manifest)
    }
    show(context, result, manifest?.path)
    return 0
  })
}

async function save(bytes: AsyncIterable<Uint8Array>, target: Target): Promise<void> {
  const writer = await FileWriter.create(target.partialPath, { mode: MANIFEST_MODE, hash: false })
  try {
    for await (const chunk of bytes) await writer.write(chunk)
    await writer.end({ sync: true })
    await target.commit()
  } catch (error) {
    await writer.abandon()
    await target.discard()
    throw error
  }
}

function show({ output }: CliContext, result: PutResult, manifest: string | undefined): void {
  const { link, size, sha256, stored, redundancy, holders, expires, files, missing } = result
  if (missing > 0) {
    output.warn(
      `${formatCount(missing)} columns have no holder yet: it survives fewer losses until peers come; p2pnode health shows how it is`,
    )
  }
  output.result(
    {
      link,
      manifest: manifest ?? result.manifest,
      size,
      sha256,
      stored,
      redundancy,
      holders,
      expires,
      ...(missing > 0 ? { missing } : {}),
    },
    () => link,
  )
  if (output.json) return
  const what = files === 1 ? '' : `${formatCount(files)} files, `
  output.note(
    `${what}${formatBytes(size)} as ${formatBytes(stored)} on ${holders} holders (${redundancy}), kept until ${expires} and longer while this node runs`,
  )
  output.note('whoever has the link can read it; p2pnode ls shows it again with --links')
  if (manifest !== undefined) output.note(`wrote ${printable(manifest)}`)
}
