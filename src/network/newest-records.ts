import { Libp2pRecord } from '@libp2p/record'
import type { Datastore, Key } from 'interface-datastore'
import type { DhtNamespace } from './dht.ts'

/**
 * The DHT's view of a datastore in which an older value never takes the place of a newer one. kad-dht itself stores whatever
 * valid value comes last, so that anybody could put a name back to what it once was by sending its old record again.
 */
export function keepNewest(
  datastore: Datastore,
  { prefix, namespaces }: { prefix: string; namespaces: readonly DhtNamespace[] },
): Datastore {
  const recordPrefix = `${prefix}/record/`
  /** The last write of a key that is under way: two that come together are compared one after the other. */
  const writing = new Map<string, Promise<unknown>>()

  async function heldAt(key: Key): Promise<Uint8Array | undefined> {
    try {
      return await datastore.get(key)
    } catch {
      return undefined
    }
  }

  /** Whether what is stored is still valid, and better than what comes. */
  async function isOlder(key: Key, bytes: Uint8Array): Promise<boolean> {
    const stored = await heldAt(key)
    if (stored === undefined) return false
    try {
      const [held, given] = [Libp2pRecord.deserialize(stored), Libp2pRecord.deserialize(bytes)]
      const namespace = namespaces.find(({ name }) => hasNamespace(given.key, name))
      if (namespace === undefined) return false
      await namespace.validate(held.key, held.value)
      return (await namespace.select(given.key, [given.value, held.value])) === 1
    } catch {
      // What has expired, or cannot be read any more, is no reason to refuse what comes.
      return false
    }
  }

  const put: Datastore['put'] = async (key, value, options) => {
    const text = key.toString()
    if (!text.startsWith(recordPrefix)) return datastore.put(key, value, options)
    const before = writing.get(text)
    const write = (async () => {
      await before?.catch(() => {})
      if (!(await isOlder(key, value))) await datastore.put(key, value, options)
    })()
    writing.set(text, write)
    try {
      await write
    } finally {
      if (writing.get(text) === write) writing.delete(text)
    }
    return key
  }

  return new Proxy(datastore, {
    get(target, name) {
      if (name === 'put') return put
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function hasNamespace(key: Uint8Array, name: string): boolean {
  const prefix = Buffer.from(`/${name}/`, 'latin1')
  return prefix.equals(key.subarray(0, prefix.length))
}
