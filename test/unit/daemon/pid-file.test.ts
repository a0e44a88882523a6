import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { claimPidFile, refuseIfTaken } from '../../../src/daemon/pid-file.ts'

/** The parent of the test process: it is running, and is another process. */
const OTHER = process.ppid

function place(text: string | null = null): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-pid-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'pgweir.pid')
  if (text !== null) writeFileSync(path, text)
  return path
}

test('the pid file names this process while it runs, and is removed afterwards', () => {
  const path = place()
  const file = claimPidFile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
  file.remove()
  expect(existsSync(path)).toBe(false)
})

test('a pid file that names another running process is left alone', () => {
  const path = place(`${OTHER}\n`)
  const sentence = `pidfile '${path}' exists, another instance running?`
  expect(() => claimPidFile(path)).toThrow(sentence)
  expect(() => refuseIfTaken(path)).toThrow(sentence)
  expect(readFileSync(path, 'utf8')).toBe(`${OTHER}\n`)
})

test.each([
  ['whose process is gone', '999999999\n'],
  ['of a process that had the same id in this container', `${process.pid}\n`],
  ['that is empty', ''],
  ['with zero bytes only, as after a crash of the machine', '\0\0\0\0\0'],
  ['with the process id 0', '0\n'],
])('a pid file %s is taken over', (_what, text) => {
  const path = place(text)
  claimPidFile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
})

test('a pid file that another process is already taking over is left to that process', () => {
  const path = place('999999999\n')
  symlinkSync(String(OTHER), `${path}.lock`)
  expect(() => claimPidFile(path)).toThrow(`pidfile '${path}' exists, another instance running?`)
  expect(readFileSync(path, 'utf8')).toBe('999999999\n')
})

test.each([999_999_999, process.pid])(
  'a lock left behind while a pid file was taken over does not block the next process: %d',
  (pid) => {
    const path = place('999999999\n')
    symlinkSync(String(pid), `${path}.lock`)
    claimPidFile(path)
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
    expect(readdirSync(dirname(path))).toEqual(['pgweir.pid'])
  },
)

test('a file with other content than a process id is left unchanged', () => {
  for (const text of ['[databases]\n', '4711: process up\n', '1'.repeat(100)]) {
    const path = place(text)
    expect(() => claimPidFile(path)).toThrow(`pidfile '${path}' contains something other than a process ID`)
    expect(readFileSync(path, 'utf8')).toBe(text)
  }
})

test('a pid file that another process has written since is not removed', () => {
  const path = place()
  for (const text of [`${OTHER}\n`, 'something else\n']) {
    rmSync(path, { force: true })
    const file = claimPidFile(path)
    writeFileSync(path, text)
    file.remove()
    expect(readFileSync(path, 'utf8')).toBe(text)
  }
})

test('a path that is not a regular file is not taken over', () => {
  for (const path of ['/dev/null', tmpdir()])
    expect(() => refuseIfTaken(path)).toThrow(`pidfile '${path}' is not a regular file`)
})

test('a missing directory is reported with the name of the setting', () => {
  expect(() => claimPidFile('/nowhere/pgweir.pid')).toThrow(
    /^pidfile cannot be written: ENOENT.*\/nowhere\/pgweir\.pid/,
  )
})

test('a pid file that cannot be looked at is reported with the name of the setting', () => {
  const path = join(place('4711\n'), 'pgweir.pid')
  expect(() => refuseIfTaken(path)).toThrow(/^pidfile cannot be read: ENOTDIR.*\/pgweir\.pid\/pgweir\.pid/)
})

test('without a name no pid file is written', () => {
  claimPidFile('').remove()
})
