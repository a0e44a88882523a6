import { expect, test } from 'vitest'
import { pack, unpack } from '../../../src/workers/packing.ts'

const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => ({ id, name: `ä "${id}"`, since: 1_700_000_000_000.25 + id, holder: null }))

test('rows of any number are unpacked unchanged and in order', async () => {
  for (const count of [0, 1, 500, 501, 2_345]) expect(await unpack(await pack(rows(count)))).toEqual(rows(count))
})

test('packed rows of several processes can be joined without unpacking them', async () => {
  const parts = await Promise.all([rows(700), [], rows(3)].map(pack))
  expect(await unpack(parts.flat())).toEqual([...rows(700), ...rows(3)])
})

test('other work gets its turn while thousands of rows are packed and unpacked', async () => {
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
