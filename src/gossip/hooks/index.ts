/**
 * Webhooks: what applications say under a topic, sent to a program that listens by HTTP, at least once and in order, over restarts.
 *
 * ```ts
 * const hooks = createHooks({ state, messages, log })
 * hooks.start() // after messages.start()
 * const { id, secret } = await hooks.add({ topic: 'weather', url: 'http://127.0.0.1:8080/weather' })
 * await hooks.stop()
 * ```
 *
 * Reading order: `types.ts`, `store.ts` (what waits), `courier.ts` (how it is brought), `signature.ts`, `post.ts`, `limits.ts`.
 */
import { isTopic, MAX_TOPIC_CHARACTERS } from '../../../protocols/message/index.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { topicInvalid } from '../messages/errors.ts'
import type { RunningAppMessages } from '../messages/index.ts'
import type { Courier, HookTimes } from './courier.ts'
import { hookNotFound, hookUrlInvalid, tooManyHooks } from './errors.ts'
import { MAX_HOOKS, MAX_URL_CHARACTERS } from './limits.ts'
import { newSecret, parseSecret, secretText } from './signature.ts'
import { HookStore, type StoredHook } from './store.ts'
import type { HookReport, Hooks, HookStatistics } from './types.ts'

export type * from './types.ts'

export interface HooksOptions {
  state: Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>
  messages: Pick<RunningAppMessages, 'attach'>
  log: Logger
  times?: HookTimes
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

export interface RunningHooks extends Hooks {
  /** Call once messages have started. */
  start(): void
  /** What is under way is broken off, and sent again after the next start. */
  stop(): Promise<void>
}

export function createHooks(options: HooksOptions): RunningHooks {
  const { state, messages, times = {}, now = Date.now } = options
  const log = options.log.child({ part: 'hooks' })
  const store = new HookStore(state)
  const figures = { delivered: 0, failed: 0, dropped: 0, refused: 0 }
  /** Ends what was attached for each hook. */
  const attached = new Map<number, () => void>()
  /** What is done to each hook, one after the other: the last of it. */
  const turns = new Map<number, Promise<unknown>>()
  let courier: Promise<Courier> | undefined
  let isStopped = false

  /** Loaded with the first message that is to be sent. */
  function theCourier(): Promise<Courier> {
    courier ??= import('./courier.ts').then(
      ({ Courier }) =>
        new Courier({
          store,
          times,
          log,
          now,
          count: (what) => {
            figures[what] += 1
          },
          onDisabled,
        }),
    )
    return courier
  }

  /** Runs `work` once all is over that was begun for the hook before. */
  function inTurn<T>(id: number, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(id) ?? Promise.resolve()).then(work)
    const over = turn
      .catch(() => {})
      .then(() => {
        if (turns.get(id) === over) turns.delete(id)
      })
    turns.set(id, over)
    return turn
  }

  function onDisabled({ id, topic }: StoredHook): void {
    // Whoever enables it wakes it at the end, and whoever removes it has no use for it.
    if (turns.has(id) || isStopped) return
    inTurn(id, async () => {
      detach(id)
      try {
        await store.setDisabled(id, now())
      } catch (error) {
        attach(found(id))
        throw error
      }
      log.warn({ hook: id, topic, problem: store.find(id)?.problem }, 'a hook is disabled: it takes nothing')
    }).catch((error: unknown) => log.warn({ err: error, hook: id }, 'a hook could not be disabled'))
  }

  async function wake(hook: StoredHook): Promise<void> {
    const running = await theCourier()
    if (!isStopped && attached.has(hook.id)) running.wake(hook)
  }

  function attach(hook: StoredHook): void {
    if (isStopped || attached.has(hook.id)) return
    const end = messages.attach(hook.topic, (message) => {
      try {
        figures.dropped += store.enqueue(hook.id, message, now())
      } catch (error) {
        figures.dropped += 1
        log.warn({ err: error, hook: hook.id }, 'a message could not be queued for a hook')
        return false
      }
      void wake(hook)
      return true
    })
    attached.set(hook.id, end)
    if (store.queued(hook.id) > 0) void wake(hook)
  }

  function detach(id: number): void {
    attached.get(id)?.()
    attached.delete(id)
  }

  function found(id: number): StoredHook {
    const hook = store.find(id)
    if (hook === undefined) throw hookNotFound(id)
    return hook
  }

  function report(hook: StoredHook): HookReport {
    const { secret: _secret, disabledAtMs, ...shown } = hook
    const isFailing = hook.failingSinceMs !== null
    const condition = disabledAtMs !== null ? 'disabled' : isFailing ? 'failing' : 'ok'
    return { ...shown, state: condition, queued: store.queued(hook.id) }
  }

  return {
    async add({ topic, url, secret }) {
      if (!isTopic(topic)) throw topicInvalid(MAX_TOPIC_CHARACTERS)
      const checked = {
        topic,
        url: checkedUrl(url),
        secret: secret === undefined ? newSecret() : parseSecret(secret),
      }
      if (store.hooks().length >= MAX_HOOKS) throw tooManyHooks(MAX_HOOKS)
      const id = await store.add(checked, now())
      return inTurn(id, async () => {
        const hook = found(id)
        attach(hook)
        return { ...report(hook), secret: secretText(checked.secret) }
      })
    },
    list: () => store.hooks().map(report),
    remove: (id) =>
      inTurn(id, async () => {
        const last = report(found(id))
        detach(id)
        await (await courier)?.end(id)
        await store.remove(id)
        return last
      }),
    enable: (id) =>
      inTurn(id, async () => {
        const hook = found(id)
        // It may be attached, and stays so all the while: what is heard meanwhile is queued.
        await (await courier)?.end(id)
        try {
          await store.setDisabled(id, null)
          attach(found(id))
        } finally {
          if (store.queued(id) > 0) void wake(hook)
        }
        return report(found(id))
      }),
    statistics(): HookStatistics {
      const queued = store.hooks().reduce((sum, { id }) => sum + store.queued(id), 0)
      return { ...figures, queued }
    },
    start() {
      for (const hook of store.hooks()) if (hook.disabledAtMs === null) attach(hook)
    },
    async stop() {
      isStopped = true
      for (const id of attached.keys()) detach(id)
      await (await courier)?.stop()
      await Promise.all(turns.values())
    },
  }
}

/** @throws ERR_HOOK_URL */
function checkedUrl(text: string): string {
  const url = text.length <= MAX_URL_CHARACTERS && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) throw hookUrlInvalid()
  if (url.username !== '' || url.password !== '') throw hookUrlInvalid()
  url.hash = ''
  return url.href
}
