import { expect, test } from 'vitest'
import { type Limits, takeSnapshot } from '../../../src/metrics/snapshot.ts'
import { TallyNames } from '../../../src/pool/tallies.ts'
import { MadeUpPool, madeUpFleet } from '../../support/live/made-up-fleet.ts'

test('all pools without a name of their own are counted as other, even if one of them was known before it had counts', async () => {
  const [early, ...late] = ['early', 'late', 'later'].map((database) => new MadeUpPool(database))
  if (early === undefined) throw new Error('there is one')
  const names = new TallyNames(1)
  names.of(early)
  for (const pool of late) pool.run(2, 1)
  const { accounts } = await takeSnapshot(madeUpFleet(late), names, {} as Limits)
  expect(accounts.pools).toMatchObject([{ database: 'other', user: 'other', totals: { queries: 4 } }])
})

test('the pool other has no limit, even if each of its pools has one', async () => {
  const pools = ['one', 'two', 'three'].map((database) => new MadeUpPool(database))
  const { pools: told } = await takeSnapshot(madeUpFleet(pools), new TallyNames(1), {} as Limits)
  expect(told.map(({ database, permits, maxServers }) => [database, permits, maxServers])).toEqual([
    ['one', 3, 5],
    ['other', 6, 0],
  ])
})
