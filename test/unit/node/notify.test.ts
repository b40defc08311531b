import { expect, it } from 'vitest'
import { createNotifier } from '../../../src/node/notify.ts'
import { quietLogger } from '../../support/network.ts'

const look = () => ({ isWell: true, status: 'ready' })

it('says once in the log that nobody can be told, and goes on', async () => {
  const log = quietLogger()
  const env = { NOTIFY_SOCKET: '/nonexistent/notify', PATH: '/nonexistent' }
  const notifier = createNotifier({ env, log, look })
  notifier.starting()
  notifier.ready('ready')
  notifier.stopping()
  await notifier.failed('for a reason')
  notifier.close()
  expect(log.warnings).toHaveLength(1)
  expect(JSON.stringify(log.warnings)).toContain('systemd-notify')
})

it('does nothing where no service manager asked for it', async () => {
  const log = quietLogger()
  const notifier = createNotifier({ env: { PATH: '/nonexistent', WATCHDOG_USEC: '1000' }, log, look })
  notifier.starting()
  notifier.ready('ready')
  await notifier.failed('for a reason')
  notifier.close()
  expect(log.warnings).toEqual([])
})
