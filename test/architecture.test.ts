/** Rules for src/: imports go one way, only few modules know the settings and sockets, hot files are marked as such. */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** From the top down: a folder imports from the lines below its own, and from its own line if that makes no cycle. */
const ORDER: readonly (readonly string[])[] = [
  ['cli', 'remedies.ts'],
  ['daemon', 'embedded'],
  ['workers', 'admin', 'metrics'],
  ['client'],
  ['routing'],
  ['pool'],
  ['server'],
  ['auth', 'net', 'settings'],
  ['wire', 'sql'],
  ['base'],
]

/** Every file may import these, and they import none of our files. */
const LEAVES = ['problems.ts', 'version.ts']

/** A folder or module that only some folders may import. */
const CONFINED: readonly { readonly name: string; readonly knownTo: readonly string[]; readonly because: string }[] = [
  { name: 'settings', knownTo: ['cli', 'daemon', 'admin'], because: 'everyone else is given plain values' },
  { name: 'node:net', knownTo: ['net'], because: 'only net/ touches a socket' },
  { name: 'node:tls', knownTo: ['net'], because: 'only net/ touches a socket' },
  { name: 'embedded', knownTo: ['cli'], because: 'only the demo starts a PostgreSQL' },
]

/** Imports that may break a rule, with the reason. */
const EXEMPT = new Map([
  [
    'cli/commands/demo.ts → node:net',
    'looks whether a port is free before anything is started, and holds no connection',
  ],
  ['embedded/postgres.ts → node:net', 'looks for a free port, and holds no connection'],
])

interface Import {
  /** The path below src/, such as `client/relay.ts`. */
  readonly from: string
  /** The path below src/ for our own files, otherwise the module: `node:net`, `pg`. */
  readonly to: string
}

const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort()
const TEXTS = new Map(FILES.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]))
const IMPORTS = FILES.flatMap((file) => importsIn(file, TEXTS.get(file) ?? ''))

describe('imports', () => {
  test('are found however they are written', () => {
    const text = `
      import { a } from '../base/log.ts'
      import type { B } from "./b.ts"
      import {
        c,
      } from '../wire/frames.ts'
      import './d.ts'
      export * from './e.ts'
      export { type F } from './f.ts'
      const g = await import('../net/channel.ts')
      type H = import('./h.ts').H
      const net = require('node:net')
      // import { no } from './comment.ts'
      /* import './comment.ts' */
      const text = 'https://example.org/ import'
      import pg from 'pg'`
    expect(importsIn('client/relay.ts', text).map(({ to }) => to)).toEqual([
      'base/log.ts',
      'client/b.ts',
      'wire/frames.ts',
      'client/d.ts',
      'client/e.ts',
      'client/f.ts',
      'net/channel.ts',
      'client/h.ts',
      'node:net',
      'pg',
    ])
  })

  test('name existing files', () => {
    const ours = IMPORTS.filter(({ to }) => to.endsWith('.ts'))
    expect(ours.length).toBeGreaterThan(100)
    expect(ours.filter(({ to }) => !TEXTS.has(to)).map(show)).toEqual([])
  })

  test('occur only in folders that have a place in the order', () => {
    const places = new Set([...ORDER.flat(), ...LEAVES])
    expect(FILES.filter((file) => !places.has(folderOf(file)))).toEqual([])
  })

  test('go from upper to lower layers', () => {
    expect(IMPORTS.filter(({ from, to }) => rank(to) < rank(from)).map(show)).toEqual([])
  })

  test.each(LEAVES)('of our own files do not occur in %s', (leaf) => {
    expect(IMPORTS.filter(({ from, to }) => from === leaf && to.endsWith('.ts')).map(show)).toEqual([])
  })

  test('in base/ name only files in base/', () => {
    const outward = ({ from, to }: Import) => folderOf(from) === 'base' && to.endsWith('.ts') && folderOf(to) !== 'base'
    expect(IMPORTS.filter(outward).map(show)).toEqual([])
  })

  test.each(CONFINED)('of $name occur only in $knownTo: $because', ({ name, knownTo }) => {
    const wrong = IMPORTS.filter(({ from, to }) => {
      const folder = folderOf(from)
      return folderOf(to) === name && folder !== name && !knownTo.includes(folder)
    })
    expect(wrong.map(show).filter((line) => !EXEMPT.has(line))).toEqual([])
  })

  test('that are exempt still exist', () => {
    const lines = new Set(IMPORTS.map(show))
    expect([...EXEMPT.keys()].filter((line) => !lines.has(line))).toEqual([])
  })

  test('form no cycle of files or folders', () => {
    const ours = IMPORTS.filter(({ to }) => to.endsWith('.ts'))
    expect(findCircles(ours)).toEqual([])
    const folders = ours.map(({ from, to }) => ({ from: folderOf(from), to: folderOf(to) }))
    expect(findCircles(folders.filter(({ from, to }) => from !== to))).toEqual([])
  })

  test.each([
    [['a → b', 'b → c', 'c → a'], ['a → b → c → a']],
    [['a → a'], ['a → a']],
    [['a → b', 'a → c', 'b → d', 'c → d'], []],
    [
      ['a → b', 'b → c', 'c → b', 'x → y', 'y → x'],
      ['b → c → b', 'x → y → x'],
    ],
  ])('%j form the cycles %j', (lines, circles) => {
    expect(findCircles(lines.map((line) => line.split(' → ')).map(([from = '', to = '']) => ({ from, to })))).toEqual(
      circles,
    )
  })
})

/** Files whose code runs for each message. */
const HOT = [
  /^wire\/frames\.ts$/,
  /^client\/relay\.ts$/,
  /^client\/requests\.ts$/,
  /^server\/ledger\.ts$/,
  /^net\/.*channel\.ts$/,
]

/** The interface of all channels, which has no code that could be hot. */
const CONTRACT = 'net/channel.ts'

/** For tests only. */
const COLD_CHANNEL = 'net/memory-channel.ts'

test.each(HOT.map((pattern) => [pattern.source, pattern] as const))(
  'hot files are marked as such: %s',
  (_, pattern) => {
    const hot = FILES.filter((file) => pattern.test(file))
    expect(hot).not.toEqual([])
    const silent = hot.filter((file) => !saysHot(file))
    expect(silent.filter((file) => file !== CONTRACT && file !== COLD_CHANNEL)).toEqual([])
  },
)

test('hot files have no private getters, which need a call of V8’s runtime', () => {
  expect(FILES.filter((file) => saysHot(file) && /^ {2}get #/m.test(TEXTS.get(file) ?? ''))).toEqual([])
})

function saysHot(file: string): boolean {
  return /^\/\*\*\s+(?:\* )?Hot path\b/.test(TEXTS.get(file) ?? '')
}

test('each file begins with a comment about its contents', () => {
  expect(FILES.filter((file) => !TEXTS.get(file)?.startsWith('/**'))).toEqual([])
})

test('no file contains TODO, FIXME, XXX or HACK', () => {
  const marks = /\b(?:TODO|FIXME|XXX|HACK)\b/
  const found = FILES.flatMap((file) =>
    (TEXTS.get(file) ?? '').split('\n').flatMap((line, index) => (marks.test(line) ? [`${file}:${index + 1}`] : [])),
  )
  expect(found).toEqual([])
})

function show({ from, to }: Import): string {
  return `${from} → ${to}`
}

/** Imports of types count too. */
function importsIn(file: string, text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const specifiers = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(["'])([^"'\n]+)\1/g
  return [...code.matchAll(specifiers)].map(([, , specifier = '']) => ({
    from: file,
    to: specifier.startsWith('.') ? join(dirname(file), specifier) : specifier,
  }))
}

/** `client` for `client/relay.ts`; `problems.ts` and `node:net` are returned unchanged. */
function folderOf(path: string): string {
  return path.split('/')[0] ?? path
}

/** 0 is the top; a module that has no place in the order, such as `node:net`, is at the bottom. */
function rank(path: string): number {
  const index = ORDER.findIndex((folders) => folders.includes(folderOf(path)))
  return index === -1 ? ORDER.length : index
}

/** Each cycle once, beginning with its alphabetically first member. */
function findCircles(edges: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to])
  const circles = new Set<string>()
  const finished = new Set<string>()

  function visit(node: string, path: readonly string[]): void {
    const at = path.indexOf(node)
    if (at !== -1) {
      const circle = path.slice(at)
      const first = circle.indexOf([...circle].sort()[0] ?? node)
      const turned = [...circle.slice(first), ...circle.slice(0, first)]
      circles.add([...turned, turned[0]].join(' → '))
    } else if (!finished.has(node)) {
      for (const next of targets.get(node) ?? []) visit(next, [...path, node])
      finished.add(node)
    }
  }

  for (const node of [...targets.keys()].sort()) visit(node, [])
  return [...circles].sort()
}
