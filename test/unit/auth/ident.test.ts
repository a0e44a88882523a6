import { expect, test } from 'vitest'
import { parseIdent } from '../../../src/auth/ident.ts'

const { maps, problems } = parseIdent(
  `# map  outside  user
staff   alice    ada
staff   alice    "all"
staff   root     all
mail    /^(.*)@example\\.com$  \\1
mail    /^admin@  postgres
`,
  'ident.conf',
)

test('all lines are understood', () => expect(problems).toEqual([]))

test.each([
  [null, 'ada', 'ada', true],
  [null, 'alice', 'ada', false],
  ['staff', 'alice', 'ada', true],
  ['staff', 'alice', 'all', true],
  ['staff', 'alice', 'bob', false],
  ['staff', 'bob', 'bob', false],
  ['staff', 'root', 'anybody', true],
  ['mail', 'ada@example.com', 'ada', true],
  ['mail', 'ada@example.com', 'bob', false],
  ['mail', 'ada@example.org', 'ada', false],
  ['mail', 'admin@anywhere', 'postgres', true],
  ['unknown', 'ada', 'ada', false],
])('by the map %s, %s may be %s: %s', (map, outside, user, isAllowed) => {
  expect(maps.allows(map, outside, user)).toBe(isAllowed)
})

test.each([
  ['staff alice', 'a line has three words: map, name outside, user'],
  ['staff /( ada', '"/(" is no regular expression'],
])('%s is an error', (line, sentence) => {
  expect(parseIdent(line, 'ident.conf').problems).toEqual([
    { file: 'ident.conf', line: 1, sentence: expect.stringContaining(sentence) },
  ])
})
