import { expect, test } from 'vitest'
import { LiveSettings } from '../../../src/daemon/live-settings.ts'
import type { Settings } from '../../../src/settings/load.ts'
import { GOOD_INI, loadText } from '../settings/virtual-files.ts'

function shortestIdleTimeoutMs(general: string, users: string): number {
  const { settings } = loadText(`${GOOD_INI}${general}\n[users]\n${users}\n`)
  return new LiveSettings(settings).client.shortestIdleTimeoutMs
}

test('the shortest idle timeout is the shortest of the general one and those of users; 0 means none', () => {
  expect(shortestIdleTimeoutMs('', '')).toBe(Infinity)
  expect(shortestIdleTimeoutMs('client_idle_timeout = 60', 'ada = client_idle_timeout=90')).toBe(60_000)
  expect(shortestIdleTimeoutMs('', 'ada = client_idle_timeout=90\nbob = pool_size=1')).toBe(90_000)
})

test('the shortest idle timeout is computed even for a million users', () => {
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
