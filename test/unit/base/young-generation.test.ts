import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { transformWithOxc } from 'vite'
import { expect, test } from 'vitest'

/** Run in a separate process, because V8’s flags apply to a whole process. Prints the size of the space for new objects after many have survived. */
const PROGRAM = `
  const { keepYoungGenerationAsItIs } = await import(process.argv[1])
  if (process.argv[2] === 'kept') keepYoungGenerationAsItIs()
  const kept = Array.from({ length: 400_000 }, (_, index) => ({ index, text: 'x' + index }))
  const { getHeapSpaceStatistics } = await import('node:v8')
  const { space_size } = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  console.log(kept.length === 0 ? 0 : space_size)
`

/** As JavaScript, because plain Node runs it. */
const FILE = new URL('../../../src/base/young-generation.ts', import.meta.url)
const MODULE = `data:text/javascript,${encodeURIComponent((await transformWithOxc(readFileSync(FILE, 'utf8'), FILE.pathname)).code)}`

function bytesFor(how: 'kept' | 'growing'): number {
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', PROGRAM, MODULE, how]))
}

test('the space for new objects does not grow with the number of surviving objects', () => {
  expect(bytesFor('kept')).toBeLessThan(bytesFor('growing') / 4)
})
