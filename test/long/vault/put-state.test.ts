import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/network.ts'
import {
  collect,
  startHolders,
  startVaultNode,
  stopVaultNodes,
  type VaultNode,
} from '../../support/vault-node.ts'

const signal = () => AbortSignal.timeout(60_000)
const nodes: VaultNode[] = []
afterEach(async () => {
  await stopVaultNodes(nodes)
  nodes.length = 0
})

/** An owner that has put one file, and its holders. */
async function start(): Promise<{ owner: VaultNode; holders: VaultNode[]; bytes: Buffer; link: string }> {
  const owner = await startVaultNode({ offerBytes: 0 })
  nodes.push(owner)
  const holders = await startHolders(3, owner)
  nodes.push(...holders)
  const bytes = randomBytes(50_000)
  const { link } = await owner.put(bytes, { redundancy: 'copies:2', name: 'treasure' })
  return { owner, holders, bytes, link }
}

async function another(holders: readonly VaultNode[]): Promise<VaultNode> {
  const node = await startVaultNode({ offerBytes: 0 })
  nodes.push(node)
  for (const holder of holders) await node.connect(holder)
  return node
}

describe("the owner's state", () => {
  it('comes back from the recovery phrase alone, on a machine that never put anything', async () => {
    const { owner, holders, bytes, link } = await start()
    const phrase = await owner.service.recoveryPhrase()
    expect(phrase.split(' ')).toHaveLength(24)
    // Data, manifest, and the state with all three.
    const held = () => holders.reduce((sum, { columns }) => sum + columns.usage().columns, 0)
    await eventually('the state is kept', () => held() === 7, 30_000)
    await owner.stop()

    const fresh = await another(holders)
    const recovered = await fresh.service.recover(phrase, signal())
    expect(recovered).toEqual({ objects: 1, version: 1 })
    expect(await fresh.service.list()).toMatchObject([
      { name: 'treasure', link, state: 'stored', version: 1 },
    ])
    expect(await fresh.service.recoveryPhrase()).toBe(phrase)
    const read = await collect(fresh.service.cat(link, { signal: signal() }))
    expect(read.equals(bytes)).toBe(true)
    // It has the owner's power, also after a restart.
    await fresh.stop({ keepHome: true })
    const again = await startVaultNode({ home: fresh.home, offerBytes: 0 })
    nodes.push(again)
    for (const holder of holders) await again.connect(holder)
    expect(await again.run('rm', { link })).toMatchObject({ confirmed: 4, pending: 0 })
  }, 120_000)

  it('goes by export and import to a machine that has its own, and deletes nothing there', async () => {
    const { owner, holders, link } = await start()
    const other = await another(holders)
    const own = await other.put(randomBytes(10), { redundancy: 'copies:2', name: 'mine' })
    const file = await owner.service.exportState('correct horse')
    for (const secret of ['treasure', link.slice('p2pnode:'.length)])
      expect(Buffer.from(file).includes(secret)).toBe(false)
    await expect(other.service.importState(file, undefined)).rejects.toMatchObject({
      code: 'ERR_PASSPHRASE_NEEDED',
    })
    await expect(other.service.importState(file, 'wrong')).rejects.toMatchObject({
      code: 'ERR_PASSPHRASE_WRONG',
    })
    expect(await other.service.importState(file, 'correct horse')).toEqual({ objects: 1 })
    expect(await other.service.importState(file, 'correct horse')).toEqual({ objects: 0 })
    expect((await other.service.list()).map(({ name }) => name)).toEqual(['mine', 'treasure'])
    // Without a passphrase it is of use to the same owner alone.
    const plain = await owner.service.exportState(undefined)
    await expect(other.service.importState(plain, undefined)).rejects.toMatchObject({
      code: 'ERR_OWNER_STATE_INVALID',
    })
    // The power over one is not the power over the other.
    expect(await other.run('rm', { link })).toMatchObject({ name: 'treasure', confirmed: 4 })
    await expect(owner.run('rm', { link: own.link })).rejects.toMatchObject({ code: 'ERR_VAULT_NOT_OWNED' })
    // What the owner knows is not gone from its list, but it learns of the deletion by merging.
    const back = await other.service.exportState('correct horse')
    expect(await owner.service.importState(back, 'correct horse')).toEqual({ objects: 1 })
    await eventually('the deletion has arrived', async () =>
      (await owner.service.list()).every(({ name, state }) => name === 'mine' || state === 'deleting'),
    )
    const manifests = await readdir(join(owner.home, 'manifests'))
    expect(manifests.filter((file) => file.startsWith('treasure'))).toEqual([])
  }, 120_000)

  it('is shared for one object as a text', async () => {
    const { owner, holders, link } = await start()
    await owner.put(randomBytes(10), { redundancy: 'copies:2', name: 'second' })
    const text = await owner.service.share(link, 'owner')
    const other = await another(holders)
    expect(await other.service.importState(Buffer.from(`${text}\n`), undefined)).toEqual({ objects: 1 })
    expect((await other.service.list()).map(({ name }) => name)).toEqual(['treasure'])
    expect(await other.run('rm', { link })).toMatchObject({ confirmed: 4, pending: 0 })
  }, 120_000)

  it('says so where nobody keeps it', async () => {
    const { holders } = await start()
    const fresh = await another(holders)
    const phrase = await fresh.service.recoveryPhrase()
    await expect(fresh.service.recover(phrase, signal())).rejects.toMatchObject({
      code: 'ERR_OWNER_STATE_NOT_FOUND',
      kind: 'not-found',
    })
    await expect(fresh.service.recover('one two three', signal())).rejects.toMatchObject({
      code: 'ERR_PHRASE_INVALID',
    })
  }, 60_000)
})
