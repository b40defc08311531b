import { readFile, stat } from 'node:fs/promises'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { ask, canAsk, secretLine } from '../ask.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { formatBytes, formatCount, printable } from '../format.ts'

const STATE_MODE = 0o600
/** As the API takes it. */
const MAX_STATE_BYTES = 64 * 1024 * 1024

export async function exportState(context: CliContext, file: string): Promise<number> {
  const target = await Target.at(file, { force: false })
  const passphrase =
    context.env.P2PNODE_PASSPHRASE ??
    (canAsk() ? await ask('Passphrase for the file (empty: none)') : undefined)
  return withClient(context, async (client) => {
    const download = await client.downloadPosted('/api/v1/vault/state/export', {
      body: passphrase === undefined ? {} : { passphrase },
      signal: context.signal,
    })
    const writer = await FileWriter.create(target.partialPath, { mode: STATE_MODE, hash: false })
    try {
      for await (const chunk of download.body) await writer.write(chunk)
      await writer.end({ sync: true })
      await target.commit()
    } catch (error) {
      await writer.abandon()
      await target.discard()
      throw error
    }
    const opensWith = passphrase === undefined ? 'owner' : 'passphrase'
    context.output.result(
      { path: target.path, size: writer.sizeBytes, opensWith },
      () => `${printable(target.path)} (${formatBytes(writer.sizeBytes)})`,
    )
    if (passphrase === undefined) {
      context.output.note(
        'it opens where this owner is, or was recovered by its phrase; under P2PNODE_PASSPHRASE it would open anywhere',
      )
    }
    return 0
  })
}

export async function importState(context: CliContext, file: string): Promise<number> {
  const bytes = await readState(file)
  return withClient(context, async (client) => {
    const send = (passphrase: string | undefined) =>
      client.sendFile('/api/v1/vault/state/import', bytes, {
        ...(passphrase === undefined
          ? {}
          : { headers: { 'state-passphrase': encodeURIComponent(passphrase) } }),
        signal: context.signal,
      })
    const imported = await withPassphrase(context, send)
    context.output.result(
      imported,
      () => `imported ${formatCount(imported.objects)} private files; p2pnode ls shows them`,
    )
    return 0
  })
}

/** With what the environment gives, and where that is not enough with what somebody types. */
async function withPassphrase<T>(
  context: CliContext,
  work: (passphrase: string | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await work(context.env.P2PNODE_PASSPHRASE)
  } catch (error) {
    const isLocked = error instanceof P2pnodeError && error.code.startsWith('ERR_PASSPHRASE_')
    if (!isLocked || !canAsk()) throw error
    return work(await ask('Passphrase of the file'))
  }
}

async function readState(file: string): Promise<Uint8Array> {
  try {
    if ((await stat(file)).size <= MAX_STATE_BYTES) return await readFile(file)
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new P2pnodeError(
      'ERR_STATE_FILE',
      isMissing ? 'not-found' : 'failed',
      isMissing ? `${file} does not exist` : `${file} cannot be read: ${(error as Error).message}`,
      { cause: error },
    )
  }
  throw new P2pnodeError('ERR_STATE_FILE', 'usage', `${file} is too large to be an exported state`)
}

export async function phrase(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/vault/state/phrase', { signal: context.signal })
    context.output.result(answer, () => answer.phrase)
    context.output.note('write it down and keep it offline: with it alone every private file comes back')
    return 0
  })
}

export async function recover(context: CliContext): Promise<number> {
  const typed = await secretLine(
    'The 24 words of the recovery phrase',
    () =>
      new P2pnodeError(
        'ERR_PHRASE_MISSING',
        'usage',
        'give the recovery phrase on standard input: p2pnode state recover < FILE',
      ),
  )
  return withClient(context, async (client) => {
    const found = await client.post('/api/v1/vault/state/recover', {
      body: { phrase: typed },
      signal: context.signal,
    })
    context.output.result(
      found,
      () => `recovered ${formatCount(found.objects)} private files; p2pnode ls shows them`,
    )
    return 0
  })
}
