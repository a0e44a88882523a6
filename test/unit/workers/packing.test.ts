import { expect, test } from 'vitest'
import { pack, unpack } from '../../../src/workers/packing.ts'

const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => ({ id, name: `ä "${id}"`, since: 1_700_000_000_000.25 + id, holder: null }))

test('rows are what they were, in their order, however many there are', async () => {
  for (const count of [0, 1, 500, 501, 2_345]) expect(await unpack(await pack(rows(count)))).toEqual(rows(count))
})

test('what several processes have packed can be put together without a look into it', async () => {
  const parts = await Promise.all([rows(700), [], rows(3)].map(pack))
  expect(await unpack(parts.flat())).toEqual([...rows(700), ...rows(3)])
})

test('others have their turn while thousands of rows are packed and unpacked', async () => {
  let turns = 0
  const count = () => {
    turns++
    waiting = setImmediate(count)
  }
  let waiting = setImmediate(count)
  const packed = await pack(rows(5_000))
  expect(turns).toBeGreaterThanOrEqual(8)
  turns = 0
  await unpack(packed)
  clearImmediate(waiting)
  expect(turns).toBeGreaterThanOrEqual(8)
})
