/** Every command in the documents is accepted, and programs in them run. test/support/docs/ways.ts says which other tests run commands. */

import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readFlags } from '../bench/flags.ts'
import { main } from '../src/cli/main.ts'
import { loadSettings } from '../src/settings/load.ts'
import { blocksOf, type Command, commandsOf, DOCUMENTS, ROOT } from './support/docs/documents.ts'
import { ownCommand } from './support/docs/own-command.ts'
import { wayOf } from './support/docs/ways.ts'
import { virtualFiles } from './unit/settings/virtual-files.ts'

const BLOCKS = DOCUMENTS.flatMap((document) => blocksOf(document))
const COMMANDS = BLOCKS.flatMap(commandsOf)

function tried(way: string): Command[] {
  return COMMANDS.filter((command) => wayOf(command) === way)
}

test.each(COMMANDS)('$place: a test runs $line, or there is a reason why none does', (command) => {
  const way = wayOf(command)
  if (typeof way === 'string') return
  const files = [way.because, ...command.words].flatMap(
    (text) => text.match(/\b(?:deploy|examples|test|\.ci)\/[\w./-]+/g) ?? [],
  )
  for (const file of files) expect(existsSync(join(ROOT, file)), file).toBe(true)
  const env = Object.fromEntries(
    command.words
      .flatMap((word) => [...word.matchAll(/^(PGWEIR_\w+)=(.*)$/g)])
      .map(([, name = '', value]) => [name, value]),
  )
  if (Object.keys(env).length > 0) expect(loadSettings({ env, files: virtualFiles({}) }).problems).toEqual([])
})

test.each(tried('pgweir'))('$place: $line', async ({ words, variables }) => {
  const { args, world, written } = ownCommand(words)
  // -d needs these settings, which are in no file of the documents.
  const env = words.includes('-d') ? { PGWEIR_PIDFILE: 'pgweir.pid', PGWEIR_LOGFILE: 'pgweir.log' } : variables
  const code = await main(args, { ...world, env })
  // The stub of the demo exits with 7, and the stub of the background process with 9.
  expect([0, 7, 9], written.err).toContain(code)
})

test.each(tried('bench'))('$place: $line', ({ words }) => {
  readFlags(words.slice(words.indexOf('--') + 1))
})

test.each(tried('vitest'))('$place: $line', ({ words, variables }) => {
  for (const path of words.slice(3)) expect(path.startsWith('-') || existsSync(join(ROOT, path)), path).toBe(true)
  const known = sources(join(ROOT, 'test')) + readFileSync(join(ROOT, 'vitest.config.ts'), 'utf8')
  for (const name of Object.keys(variables)) expect(known).toContain(`process.env['${name}']`)
})

describe('the README', () => {
  const [file = ''] = BLOCKS.filter(({ place, kind }) => place.startsWith('README.md') && kind === 'ini').map(
    ({ text }) => text,
  )

  test('shows the output of `pgweir check` for a mistake in its file', async () => {
    const [check] = tried('pgweir').filter(
      ({ place, words }) => place.startsWith('README.md') && words.includes('check'),
    )
    const folder = mkdtempSync(join(tmpdir(), 'pgweir-docs-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const iniFile = join(folder, 'my.ini')
    const authFile = join(folder, 'userlist.txt')
    writeFileSync(authFile, '')
    writeFileSync(iniFile, file.replace('pool_mode', 'pool_mod').replace('userlist.txt', authFile))
    const { args, world, written } = ownCommand(check?.words ?? [], iniFile)
    await main(args, world)
    expect(written.out.replaceAll(iniFile, 'my.ini')).toBe(check?.output)
  })
})

test.each(BLOCKS.filter(({ kind, text }) => kind === 'ts' && text.includes("from 'pgweir'")))(
  '$place passes the type check and runs in an empty folder',
  { timeout: 60_000 },
  async ({ text }) => {
    const folder = mkdtempSync(join(tmpdir(), 'pgweir-docs-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const modules = join(ROOT, 'node_modules')
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(folder, 'it.ts'), text)
    writeFileSync(join(folder, 'it.js'), text)
    mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
    symlinkSync(ROOT, join(folder, 'node_modules/pgweir'))
    symlinkSync(join(modules, '@types/node'), join(folder, 'node_modules/@types/node'))
    const run = promisify(execFile)
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', 'it.ts']
    await run(join(modules, '.bin/tsc'), flags, { cwd: folder })
    await run(process.execPath, ['it.js'], { cwd: folder })
  },
)

function sources(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
}
