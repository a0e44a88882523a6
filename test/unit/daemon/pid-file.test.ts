import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { claimPidFile, refuseIfTaken } from '../../../src/daemon/pid-file.ts'

/** The process of the tests' parent runs, and is not us. */
const OTHER = process.ppid

function place(text: string | null = null): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-pid-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'pgweir.pid')
  if (text !== null) writeFileSync(path, text)
  return path
}

test('the file names our process while we run, and is gone then', () => {
  const path = place()
  const file = claimPidFile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
  file.remove()
  expect(existsSync(path)).toBe(false)
})

test('one that names another process that runs is left alone', () => {
  const path = place(`${OTHER}\n`)
  const sentence = `pidfile '${path}' exists, another instance running?`
  expect(() => claimPidFile(path)).toThrow(sentence)
  expect(() => refuseIfTaken(path)).toThrow(sentence)
  expect(readFileSync(path, 'utf8')).toBe(`${OTHER}\n`)
})

test.each([
  ['whose process is gone', '999999999\n'],
  ['of a process that had the same id in this container', `${process.pid}\n`],
  ['with nothing in it', ''],
  ['with nothing but zeros in it, as after a crash of the machine', '\0\0\0\0\0'],
  ['of all processes', '0\n'],
])('one %s is taken over', (_what, text) => {
  const path = place(text)
  claimPidFile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
})

test('one that another process is taking over already is left to that', () => {
  const path = place('999999999\n')
  symlinkSync(String(OTHER), `${path}.lock`)
  expect(() => claimPidFile(path)).toThrow(`pidfile '${path}' exists, another instance running?`)
  expect(readFileSync(path, 'utf8')).toBe('999999999\n')
})

test.each([999_999_999, process.pid])("whoever began to take one over and has ended is in nobody's way: %d", (pid) => {
  const path = place('999999999\n')
  symlinkSync(String(pid), `${path}.lock`)
  claimPidFile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
  expect(readdirSync(dirname(path))).toEqual(['pgweir.pid'])
})

test('a file that is something else is left as it is', () => {
  for (const text of ['[databases]\n', '4711: process up\n', '1'.repeat(100)]) {
    const path = place(text)
    expect(() => claimPidFile(path)).toThrow(`pidfile '${path}' has something else than a process id in it`)
    expect(readFileSync(path, 'utf8')).toBe(text)
  }
})

test('one that somebody else has written since stays', () => {
  const path = place()
  for (const text of [`${OTHER}\n`, 'something else\n']) {
    rmSync(path, { force: true })
    const file = claimPidFile(path)
    writeFileSync(path, text)
    file.remove()
    expect(readFileSync(path, 'utf8')).toBe(text)
  }
})

test('what is no file is not taken over', () => {
  for (const path of ['/dev/null', tmpdir()])
    expect(() => refuseIfTaken(path)).toThrow(`pidfile '${path}' is not a file`)
})

test('a folder that is not there is told, with the setting that names it', () => {
  expect(() => claimPidFile('/nowhere/pgweir.pid')).toThrow(
    /^pidfile cannot be written: ENOENT.*\/nowhere\/pgweir\.pid/,
  )
})

test('without a name there is none', () => {
  claimPidFile('').remove()
})
