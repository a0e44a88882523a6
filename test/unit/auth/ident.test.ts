import { expect, test } from 'vitest'
import { parseIdent } from '../../../src/auth/ident.ts'

const { maps, problems } = parseIdent(
  `# map  outside  user
staff   alice    ada
staff   alice    "all"
staff   root     all
mail    /^(.*)@example\\.com$  \\1
mail    /^admin@  postgres
team    /^(?:(a)|b)@  \\1
team    lead@     /^team_
crew    "/^(.*) of the crew$"  "\\1"
crew    mate      "/^team_"
`,
  'ident.conf',
)

test('all lines can be parsed', () => expect(problems).toEqual([]))

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
  // $$ in an outside name is not a replacement pattern.
  ['mail', 'al$$ice@example.com', 'al$ice', false],
  ['mail', 'al$$ice@example.com', 'al$$ice', true],
  ['team', 'a@', 'a', true],
  ['team', 'b@', '', false],
  ['team', 'lead@', 'team_one', true],
  ['team', 'lead@', '/^team_', false],
  ['crew', 'ada of the crew', 'ada', true],
  ['crew', 'ada of the crew', 'bob', false],
  ['crew', 'mate', 'team_one', true],
  ['crew', 'mate', 'one', false],
  ['unknown', 'ada', 'ada', false],
])('with the map %s, %s may log in as %s: %s', (map, outside, user, isAllowed) => {
  expect(maps.allows(map, outside, user)).toBe(isAllowed)
})

test('a line may be continued, and later lines keep their numbers', () => {
  const read = parseIdent('staff alice\\\n ada\nstaff bob', 'ident.conf')
  expect(read.maps.allows('staff', 'alice', 'ada')).toBe(true)
  expect(read.problems).toMatchObject([{ line: 3 }])
})

test.each([
  ['staff alice', 'a line must have three fields: map name, system user name, PostgreSQL user'],
  ['staff alice ada bob', 'a line must have three fields'],
  ['staff alice,bob ada', 'a line must have three fields'],
  ['staff alice /(', '"/(" is not a valid regular expression'],
  ['staff /( ada', '"/(" is not a valid regular expression'],
])('%s is an error', (line, sentence) => {
  expect(parseIdent(line, 'ident.conf').problems).toEqual([
    { file: 'ident.conf', line: 1, sentence: expect.stringContaining(sentence) },
  ])
})
