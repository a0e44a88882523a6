import { expect, test } from 'vitest'
import { type Limits, takeSnapshot } from '../../../src/metrics/snapshot.ts'
import { TallyNames } from '../../../src/pool/tallies.ts'
import { MadeUpPool, madeUpFleet } from '../../support/live/made-up-fleet.ts'

test('all that have no name of their own are counted under one, also if one had been seen before it was counted', async () => {
  const [early, ...late] = ['early', 'late', 'later'].map((database) => new MadeUpPool(database))
  if (early === undefined) throw new Error('there is one')
  const names = new TallyNames(1)
  names.of(early)
  for (const pool of late) pool.run(2, 1)
  const { accounts } = await takeSnapshot(madeUpFleet(late), names, {} as Limits)
  expect(accounts.pools).toMatchObject([{ database: 'other', user: 'other', totals: { queries: 4 } }])
})
