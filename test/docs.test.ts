/** The documents are right: their commands, flags, settings, links and paths exist. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { TOPICS } from '../src/admin/show/topics.ts'
import { main } from '../src/cli/main.ts'
import { FAMILIES } from '../src/metrics/families.ts'
import { DATABASE_ROWS } from '../src/settings/databases.ts'
import { nearest } from '../src/settings/nearest.ts'
import { PEER_ROWS } from '../src/settings/peers.ts'
import { flagName, SETTING_KEYS } from '../src/settings/schema.ts'
import { USER_ROWS } from '../src/settings/users.ts'
import { chartSchema } from './support/chart.ts'
import {
  anchorsOf,
  type Block,
  blocksOf,
  commandsOf,
  DOCUMENTS,
  linksOf,
  ROOT,
  readDocument,
  withoutBlocks,
} from './support/docs/documents.ts'
import { ownCommand } from './support/docs/own-command.ts'
import { wayOf } from './support/docs/ways.ts'
import { loadText } from './unit/settings/virtual-files.ts'

const fitsChart = new Ajv({ allowUnionTypes: true }).compile(JSON.parse(chartSchema()))

const { scripts, files } = JSON.parse(readDocument('package.json'))

/** Our own flags that are not settings. */
const OTHER_FLAGS = [
  '--upstream',
  '--database',
  '--password',
  '--quiet',
  '--verbose',
  '--version',
  '--help',
  '--json',
  '--host',
  '--port',
  '--config',
]

/** PostgreSQL's own names, which look like misspelled names of ours. */
const OF_POSTGRES = ['lock_timeout', 'pg_prepared_statements']

const KNOWN = new Set<string>([
  ...OF_POSTGRES,
  ...[...SETTING_KEYS, ...Object.keys(DATABASE_ROWS), ...Object.keys(USER_ROWS), ...Object.keys(PEER_ROWS)],
  ...FAMILIES.map(({ name }) => name),
  ...[...TOPICS.values()].flatMap(({ columns }) => columns?.map(({ name }) => name) ?? []),
])

describe.each(DOCUMENTS)('%s', (document) => {
  const text = readDocument(document)

  test('links only to existing targets', () => {
    const missing = linksOf(text).filter(({ file, anchor }) => {
      const path = file === '' ? document : normalize(join(dirname(document), file))
      if (!existsSync(join(ROOT, path))) return true
      return anchor !== '' && !anchorsOf(readDocument(path)).includes(anchor)
    })
    expect(missing).toEqual([])
  })

  test('describes its pictures in words', () => {
    for (const [, words = '', picture = ''] of text.matchAll(/!\[([^\]]*)\]\(([^)]+)\)/g)) {
      expect(words, picture).not.toBe('')
      if (!picture.endsWith('.svg')) continue
      const svg = readDocument(join(dirname(document), picture))
      expect(svg).toMatch(/<title id="title">[^<]+<\/title>\s*<desc id="desc">[^<]+<\/desc>/)
      expect(svg, 'loads nothing').not.toMatch(/href|url\(|@import|<script|<image/)
      expect(svg).toContain('prefers-color-scheme: dark')
    }
  })

  test('names only existing paths', () => {
    const paths = [...text.matchAll(/`((?:src|test|bench|bin|docs|deploy|examples|\.ci)\/[\w./-]*)`/g)].map(
      ([, path = '']) => path,
    )
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('names only existing settings and metrics', () => {
    const named = [...withoutBlocks(text).matchAll(/`([a-z]+(?:_[a-z0-9]+)+)(?:[{ =][^`]*)?`/g)].map(
      ([, name = '']) => name,
    )
    // Names that are not ours are not checked, except for likely misspellings.
    const slips = named.filter(
      (name) => !KNOWN.has(name) && (name.startsWith('pgweir_') || nearest(name, SETTING_KEYS)),
    )
    expect(slips).toEqual([])
  })

  test('runs only existing npm scripts', () => {
    const names = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name)
    expect(names.filter((name) => !(name in scripts))).toEqual([])
  })

  test('uses only existing flags', () => {
    const known = new Set([...SETTING_KEYS.map(flagName), ...OTHER_FLAGS])
    const ours = text
      .split('\n')
      .filter((line) => /npm start -- |\bpgweir(?:\.js)? (?:demo |check |console )?-/.test(line))
    const flags = ours.flatMap((line) =>
      [...line.replace('npm start -- ', '').matchAll(/(?<=\s)--[a-z][\w-]*/g)].flat(),
    )
    expect(flags.filter((flag) => !known.has(flag))).toEqual([])
  })

  const blocks = blocksOf(document)
  if (blocks.length > 0)
    test.each(blocks)('$place has a valid $kind block', async (block) => {
      const check = KINDS[block.kind] ?? expectExcerpt
      await check(block)
    })
})

test('documents in the package link only to files in the package', () => {
  const held = ['README.md', 'LICENSE', ...files]
  const holds = (path: string) => held.some((name) => path === name || path.startsWith(`${name}/`))
  const outside = DOCUMENTS.filter(holds).flatMap((document) =>
    linksOf(readDocument(document))
      .map(({ file }) => (file === '' ? document : normalize(join(dirname(document), file))))
      .filter((path) => !holds(path)),
  )
  expect(outside).toEqual([])
})

test.each([
  ['```\nno kind\n```', 'has to be of a kind'],
  ['```cobol\nDISPLAY "x".\n```', 'has to be of a kind'],
  ['```ini\n[pgbouncer]\npool_mod = session\n```', 'pgweir.ini:2: error: there'],
  ['```systemd\nExecStart=/usr/bin/pgweir --pool-mod session\n```', 'pool-mod'],
  ['```promql\npgweir_nonsense_total\n```', 'pgweir_nonsense_total'],
])('an invalid block is found: %s', async (text, complaint) => {
  const [block] = blocksOf('some.md', text)
  if (block === undefined) throw new Error('there is no block')
  await expect(async () => (KINDS[block.kind] ?? expectExcerpt)(block)).rejects.toThrow(complaint)
})

test('unknown values of the chart are found', () => {
  const [block] = blocksOf('deploy/helm/pgweir/README.md', '```yaml\nimage: { tagg: 1 }\n```')
  expect(() => block && KINDS['yaml']?.(block)).toThrow('additionalProperties')
})

test('an unknown command is found', () => {
  const [block] = blocksOf('some.md', '```sh\nPGWEIR_X=1 npm start && "make it" so    # now\n```')
  const commands = block === undefined ? [] : commandsOf(block)
  expect(commands).toMatchObject([
    { words: ['npm', 'start'], variables: { PGWEIR_X: '1' } },
    { words: ['make it', 'so'], variables: {} },
  ])
  expect(() => commands.map(wayOf)).toThrow('some.md:1')
})

test('headings have the anchors that GitHub gives them', () => {
  const text = '# What `-d` does\n\n```sh\n# no heading\n```\n## Section [users]\n### A (b), c\n### A (b), c\n'
  expect(anchorsOf(text)).toEqual(['what--d-does', 'section-users', 'a-b-c', 'a-b-c-1'])
})

test('the reasons that docs/troubleshooting.md explains exist in src', () => {
  const [, section = ''] = readDocument('docs/troubleshooting.md').split('### Connections are closed')
  const [table = ''] = section.split('###')
  const reasons = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = '']) => cell.match(/[^`,]{3,}/g) ?? [])
  expect(reasons.length).toBeGreaterThan(8)
  const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readDocument(join('src', file)))
    .join()
  for (const reason of reasons) expect(source, reason).toMatch(new RegExp(`['\`]${reason.trim()}`))
})

test('the README contains a file, a flag, npm scripts and links, so that the tests above check something', () => {
  const text = readDocument('README.md')
  for (const sample of ['```ini', '--upstream', 'npm start', 'npm test', '](docs/']) expect(text).toContain(sample)
})

test('CONTRIBUTING.md describes each folder in src', () => {
  const told = [...readDocument('CONTRIBUTING.md').matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, folder = '']) => folder),
  )
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(join(ROOT, 'src', entry.name)).length > 0)
    .map(({ name }) => name)
  expect(told.sort()).toEqual(folders.sort())
})

/** The check for each kind of block. Blocks of other kinds have to be an excerpt of a file that a test runs. */
const KINDS: Readonly<Record<string, (block: Block) => unknown>> = {
  /** A whole file, or the relevant part of one: the rest is filled in. */
  ini({ text }) {
    const has = (expression: RegExp) => expression.test(text)
    const missing = [
      has(/^\[databases\]$/m) ? '' : '[databases]\napp = host=10.0.0.5\n',
      has(/^auth_(type|file) *=/m) ? '' : '[pgbouncer]\nauth_type = any\n',
    ]
    // Several poolers share the same file, and each gets its number on the command line.
    const flags = has(/^\[peers\]$/m) && !has(/^peer_id *=/m) ? { peer_id: '1' } : {}
    expect(loadText(`${text}${missing.join('')}`, { flags }).told.join('\n')).toBe('')
  },

  json: ({ text }) => JSON.parse(text),

  /** Values of the chart, or input of a program that test/clients/docs.test.ts runs. Any other block is an excerpt of one of our files. */
  yaml(block) {
    const content = parse(block.text)
    if (block.place.startsWith('deploy/helm/')) expect(fitsChart(content), JSON.stringify(fitsChart.errors)).toBe(true)
    else if (!('scrape_configs' in content)) expectExcerpt(block)
  },

  /** Lines of a systemd unit, whose programs are ours. */
  async systemd({ text }) {
    for (const line of text.split('\n')) expect(line).toMatch(/^(\[[A-Z]\w+\]|#.*|[A-Z]\w+=.*|)$/)
    for (const [, line = ''] of text.matchAll(/^ExecStart=\/usr\/bin\/(pgweir .*)$/gm)) {
      const { args, world, written } = ownCommand(line.replaceAll('%i', '1').split(' '))
      expect(await main(args, world), written.err).toBe(0)
    }
  },

  /** Commands, which test/docs-commands.test.ts and test/clients/docs.test.ts run. */
  sh: () => {},
  console: () => {},

  /** Programs that use pgweir as a library, which test/docs-commands.test.ts runs. */
  ts(block) {
    if (!block.text.includes("from 'pgweir'")) expectExcerpt(block)
  },

  /** Queries for Prometheus, which test/clients/docs.test.ts has Prometheus parse. */
  promql({ text }) {
    const known = FAMILIES.map(({ name }) => name)
    const names = text.match(/pgweir_\w+/g) ?? []
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) expect(known).toContain(name.replace(/_(sum|count|bucket)$/, ''))
  },

  /** The output of a program, or log lines. */
  text: () => {},
}

const EXCERPTED = ['examples', 'deploy', 'test/clients']

/** All lines are in one file, in this order; other lines may be in between. */
function expectExcerpt({ kind, text, place }: Block): void {
  const lines = linesOf(text)
  const holds = FILES.some((file) => {
    let at = 0
    for (const line of linesOf(readFileSync(join(ROOT, file), 'utf8'))) if (line === lines[at]) at++
    return at === lines.length
  })
  if (kind === '' || !holds)
    throw new Error(
      `${place}: a block of '${kind}' has to be of a kind of KINDS, or a part of a file in ${EXCERPTED.join(', ')}`,
    )
}

const FILES = EXCERPTED.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length)),
)

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '…' && line !== '...')
}
