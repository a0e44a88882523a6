/** What the documents for people say can be done: their commands, flags, settings, links and paths are real. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { flagName, SETTING_KEYS } from '../src/settings/schema.ts'
import { loadText } from './unit/settings/virtual-files.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs')).map(inDocs),
].filter((path) => path.endsWith('.md'))
const { scripts } = JSON.parse(read('package.json'))

/** Flags of ours that are no settings. */
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

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document)

  test('links to files that are there', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !existsSync(join(ROOT, dirname(document), link)))).toEqual([])
  })

  test('names paths that are there', () => {
    const paths = [...text.matchAll(/`((?:src|test|bench|bin|docs|deploy|\.ci)\/[\w./-]*)`/g)].map(
      ([, path = '']) => path,
    )
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('runs npm scripts that are there', () => {
    const names = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name)
    expect(names.filter((name) => !(name in scripts))).toEqual([])
  })

  test('gives flags that are there', () => {
    const known = new Set([...SETTING_KEYS.map(flagName), ...OTHER_FLAGS])
    const ours = text
      .split('\n')
      .filter((line) => /npm start -- |\bpgweir(?:\.js)? (?:demo |check |console )?-/.test(line))
    const flags = ours.flatMap((line) =>
      [...line.replace('npm start -- ', '').matchAll(/(?<=\s)--[a-z][\w-]*/g)].flat(),
    )
    expect(flags.filter((flag) => !known.has(flag))).toEqual([])
  })

  test('shows files that load without a problem', () => {
    const files = [...text.matchAll(/^```ini\n([\s\S]*?)^```$/gm)].map(([, ini = '']) => ini)
    expect(files.flatMap((ini) => loadText(ini).told)).toEqual([])
  })
})

test('the README shows a file, a flag and npm scripts, so that the tests above have something to look at', () => {
  const text = read('README.md')
  for (const sample of ['```ini', '--upstream', 'npm start', 'npm test', '](docs/']) expect(text).toContain(sample)
})

test('CONTRIBUTING.md tells of each folder in src', () => {
  const told = [...read('CONTRIBUTING.md').matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, folder = '']) => folder),
  )
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(join(ROOT, 'src', entry.name)).length > 0)
    .map(({ name }) => name)
  expect(told.sort()).toEqual(folders.sort())
})

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function inDocs(name: string): string {
  return `docs/${name}`
}
