import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { type Daemon, Lab } from '../../support/daemon.ts'

const ROUNDS = 600
const FILES = 8
const FILE_BYTES = 3_000_000
const NOBODY = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
/** Of a request over loopback that fetches: from before it has begun to about its end. */
const MAX_PATIENCE_MS = 250

const lab = new Lab()
afterAll(() => lab.close())

const anyOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

/** A request that its client leaves after so long, whatever has come by then. */
async function left(url: string, init: RequestInit, patienceMs: number): Promise<void> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(patienceMs) })
    if (answer.status >= 400 && ![404, 504].includes(answer.status))
      throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
    for await (const _ of answer.body ?? []);
  } catch (error) {
    // Left, or cut off by the server in the middle; a refused connection would be the end of the daemon.
    const { name, cause } = error as Error & { cause?: { code?: string } }
    if (name === 'Error' || cause?.code === 'ECONNREFUSED') throw error
  }
}

it('nothing that is left or cancelled at any moment ends a daemon, or takes from what is there', async () => {
  const folder = await lab.folder()
  const owner = await lab.daemon()
  const reader = await lab.daemon({ bootstrap: [owner.address] })
  const file = join(folder, 'file')
  const hashes = new Map<string, string>()
  for (let count = 0; count < FILES; count++) {
    const bytes = randomBytes(FILE_BYTES)
    await writeFile(file, bytes)
    const { cid } = await owner.json<{ cid: string }>(['add', file])
    hashes.set(cid, createHash('sha256').update(bytes).digest('hex'))
  }
  const { link } = await owner.json<{ link: string }>([
    'put',
    file,
    '--redundancy',
    'copies:1',
    '--allow-degraded',
  ])
  const cids = [...hashes.keys(), NOBODY]
  const headersOf = async (daemon: Daemon): Promise<Record<string, string>> => ({
    authorization: `Bearer ${await daemon.token()}`,
    'content-type': 'application/json',
  })
  const [headers, ownerHeaders] = [await headersOf(reader), await headersOf(owner)]
  const api = `${reader.ready.api}/api/v1`
  const post = async (path: string, body: unknown, base = api): Promise<Response> => {
    const answer = await fetch(`${base}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`POST ${path} was answered ${answer.status}: ${await answer.text()}`)
    return answer
  }
  const later = (maxMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, Math.random() * maxMs))

  const patience = (): number => Math.ceil(Math.random() * anyOf([5, 30, MAX_PATIENCE_MS]))
  const acts: (() => Promise<unknown>)[] = [
    () => left(`${reader.ready.gateway}/ipfs/${anyOf(cids)}`, {}, patience()),
    () => left(`${reader.ready.gateway}/ipfs/${anyOf(cids)}?format=car`, {}, patience()),
    () => left(`${api}/content/cat?address=${anyOf(cids)}`, { headers }, patience()),
    () => left(`${api}/content/tar?address=${anyOf(cids)}`, { headers }, patience()),
    () => left(`${api}/content/car?address=${anyOf(cids)}`, { headers }, patience()),
    () => left(`${api}/files/${encodeURIComponent(link)}`, { headers }, patience()),
    () =>
      left(
        `${owner.ready.api}/api/v1/files/${encodeURIComponent(link)}`,
        { headers: ownerHeaders },
        patience(),
      ),
    async () => {
      const { id } = (await (await post('/content/get', { address: anyOf(cids) })).json()) as { id: string }
      await later(patience())
      await post(`/jobs/${id}/cancel`, {})
    },
    async () => {
      const started = await post('/pins', { cid: anyOf(cids) }, reader.ready.api)
      const { requestid } = (await started.json()) as { requestid: string }
      await later(patience())
      await fetch(`${reader.ready.api}/pins/${requestid}`, { method: 'DELETE', headers })
    },
    // What was fetched is taken away again, so that there is something to fetch.
    async () => post('/gc', {}),
  ]
  for (let round = 0; round < ROUNDS; round += 4) {
    await Promise.all([anyOf(acts)(), anyOf(acts)(), anyOf(acts)(), anyOf(acts)()])
    for (const daemon of [owner, reader])
      if (daemon.process.exitCode !== null)
        throw new Error(`a daemon ended with ${daemon.process.exitCode} in round ${round}:\n${daemon.log}`)
  }

  for (const [cid, sha256] of hashes)
    expect(await reader.json(['get', cid, '-o', join(folder, cid)])).toMatchObject({ sha256 })
  expect(await reader.json(['get', link, '-o', join(folder, 'private')])).toMatchObject({
    sha256: [...hashes.values()].at(-1),
  })
  const { jobs } = await reader.json<{ jobs: Record<string, number> }>(['status'])
  expect(jobs['running'] ?? 0).toBe(0)
}, 600_000)
