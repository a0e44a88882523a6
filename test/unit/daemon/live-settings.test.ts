import { expect, test } from 'vitest'
import { LiveSettings } from '../../../src/daemon/live-settings.ts'
import type { Settings } from '../../../src/settings/load.ts'
import { GOOD_INI, loadText } from '../settings/virtual-files.ts'

function shortestIdleTimeoutMs(general: string, users: string): number {
  const { settings } = loadText(`${GOOD_INI}${general}\n[users]\n${users}\n`)
  return new LiveSettings(settings).client.shortestIdleTimeoutMs
}

test('the shortest time that anybody may be idle is that of a user or the general one, and 0 is for ever', () => {
  expect(shortestIdleTimeoutMs('', '')).toBe(Infinity)
  expect(shortestIdleTimeoutMs('client_idle_timeout = 60', 'ada = client_idle_timeout=90')).toBe(60_000)
  expect(shortestIdleTimeoutMs('', 'ada = client_idle_timeout=90\nbob = pool_size=1')).toBe(90_000)
})

test('however many users there are', () => {
  const { settings } = loadText(`${GOOD_INI}[users]\nada = client_idle_timeout=90\n`)
  const ada = settings.users.get('ada')
  if (ada === undefined) throw new Error('there is no line of ada')
  const users = {
    *values() {
      for (let number = 0; number < 1_000_000; number++) yield ada
    },
  } as Settings['users']
  expect(new LiveSettings({ ...settings, users }).client.shortestIdleTimeoutMs).toBe(90_000)
})
