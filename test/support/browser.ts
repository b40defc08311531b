import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Whether this machine has a browser; says so loudly where it has none, since a test that is left out proves nothing. */
export function hasBrowser(): boolean {
  if (CHROMIUM === undefined)
    console.warn('SKIPPED: no Chromium on this machine; on Debian: apt-get install chromium')
  return CHROMIUM !== undefined
}

/** A browser of its own profile that plays sound without a click. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
    // Root has no sandbox of namespaces in containers; only pages of this test are opened.
    args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required', '--mute-audio'],
  })
}
