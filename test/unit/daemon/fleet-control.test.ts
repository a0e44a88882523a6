/** Commands given to a fleet also apply to workers that start later, if the present workers could carry them out. */

import { expect, test } from 'vitest'
import { silentLog } from '../../../src/base/log.ts'
import type { Applier, Prepared } from '../../../src/daemon/apply.ts'
import { fleetControl } from '../../../src/daemon/fleet-control.ts'
import { NO_SERVICE_MANAGER } from '../../../src/daemon/service-manager.ts'
import { PoolerError } from '../../../src/problems.ts'

function fleet(applier = {} as Applier, apply = async (_prepared: unknown) => {}) {
  const workers = { everywhere: async (): Promise<readonly unknown[]> => [null, null] }
  const kept: string[][] = []
  const logged: string[] = []
  const { control, standing } = fleetControl({
    log: { ...silentLog, info: (sentence) => void logged.push(sentence) },
    applier,
    everywhere: () => workers.everywhere(),
    keepStats: (isThere, removed) => kept.push(['app', 'shop'].filter((name) => isThere(name) && !removed.has(name))),
    apply,
    restart: () => {},
    shutdown: async () => {},
    serviceManager: NO_SERVICE_MANAGER,
  })
  return { control, workers, kept, logged, orders: () => [...standing].map(({ name, args }) => [name, ...args]) }
}

test('a command is logged once, when it begins', async () => {
  const { control, logged, workers } = fleet()
  workers.everywhere = () => new Promise(() => {})
  control.pause('app')
  control.kill(null)
  control.suspend(5)
  control.waitClose(null)
  expect(logged).toEqual(["PAUSE 'app' command issued", 'KILL command issued', 'SUSPEND command issued'])
})

test('RESUME without a database leaves the PAUSE of one database in force for workers that start later, even if it fails', async () => {
  const { control, workers, orders } = fleet()
  await control.pause('app')
  await control.pause(null)
  await control.resume(null)
  expect(orders()).toEqual([['pause', 'app']])
  workers.everywhere = () => Promise.reject(new PoolerError('not-paused'))
  await expect(control.resume(null)).rejects.toThrow('pooler is not paused/suspended')
  expect(orders()).toEqual([['pause', 'app']])
  workers.everywhere = async () => []
  await control.resume('app')
  expect(orders()).toEqual([])
})

for (const fallback of [null, {}])
  test(`a RELOAD that removes a database forgets the commands and statistics of that database${fallback ? ', also if there is *' : ''}`, async () => {
    let names = ['app', 'shop']
    const read = () => ({ settings: { databases: new Map(names.map((name) => [name, {}])), fallback } })
    let { settings }: { settings: unknown } = read()
    const { control, orders, kept } = fleet({
      get unchanged() {
        return { settings }
      },
      readAgain: read,
      apply(prepared: Prepared) {
        settings = prepared.settings
      },
    } as unknown as Applier)
    await control.disable('app')
    await control.pause('app')
    await control.disable('shop')
    await control.pause(null)
    names = ['shop']
    await control.reload()
    expect(kept, 'databases whose statistics are kept').toEqual([['shop']])
    names = ['app', 'shop']
    await control.reload()
    expect(orders()).toEqual([
      ['disable', 'shop'],
      ['pause', null],
    ])
  })

test('a RELOAD that fails still makes workers reopen the log, with the settings unchanged', async () => {
  const told: unknown[] = []
  const { control } = fleet(
    {
      readAgain() {
        throw new PoolerError('reload-failed')
      },
      unchanged: 'what holds now',
    } as unknown as Applier,
    async (prepared) => void told.push(prepared),
  )
  await expect(control.reload()).rejects.toThrow('RELOAD failed')
  expect(told).toEqual(['what holds now'])
})
