/** docs/frameworks.md shows the code of the examples, which test/clients/examples.test.ts runs. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { anchorsOf, blocksOf, ROOT, readDocument } from './support/docs/documents.ts'

const PAGE = 'docs/frameworks.md'
const LINES = readDocument(PAGE).split('\n')

/** The example that is named two lines above the block's fence. */
function fileOf(place: string): string | undefined {
  const fence = Number(place.split(':')[1])
  return /^\[`(examples\/[^`]+)`\]\(\.\.\/\1\)$/.exec(LINES[fence - 3] ?? '')?.[1]
}

test.each(blocksOf(PAGE))('$place is an excerpt of the example that is named above it', ({ place, text }) => {
  const file = fileOf(place)
  expect(file, 'above the block there has to be a link to the file that it is from').toBeDefined()
  expect(readDocument(file ?? '')).toContain(text)
})

test('each example has a section with its own block, and is in the list of examples', () => {
  const examples = readdirSync(join(ROOT, 'examples'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  const shown = blocksOf(PAGE).map(({ place }) => fileOf(place)?.split('/')[1])
  const list = readDocument('examples/README.md')
  for (const name of examples) {
    expect(shown).toContain(name)
    expect(list).toContain(`](${name})`)
    expect(readDocument(`examples/${name}/README.md`)).toContain(`](../../${PAGE}#${name})`)
    expect(anchorsOf(readDocument(PAGE))).toContain(name)
  }
})
