import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepFiles, keptFiles, keptInstead, readSettingsFile, takeUnreadable } from '../../../src/daemon/kept-files.ts'
import { temporaryFolder } from '../../support/datagrams.ts'

/** The error that the system gives without permission. Root, who may run the tests, never gets it. */
const NO_RIGHTS = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })

test('without keepFiles() no file content is kept', () => {
  const path = join(temporaryFolder(), 'key')
  writeFileSync(path, 'one')
  expect(readSettingsFile(path).toString()).toBe('one')
  expect(keptFiles().size).toBe(0)
  expect(() => keptInstead(path, NO_RIGHTS)).toThrow('EACCES')
})

test('a file that may no longer be read keeps its last content, and is reported once', () => {
  const path = join(temporaryFolder(), 'key')
  writeFileSync(path, 'one')
  keepFiles()
  readSettingsFile(path)
  writeFileSync(path, 'two')
  expect(readSettingsFile(path).toString(), 'a readable file is read again').toBe('two')
  expect(keptInstead(path, NO_RIGHTS).toString()).toBe('two')
  expect(takeUnreadable()).toEqual([path])
  expect(takeUnreadable()).toEqual([])
})

test('a file that no longer exists is an error even if its content was kept', () => {
  const path = join(temporaryFolder(), 'key')
  writeFileSync(path, 'one')
  keepFiles()
  readSettingsFile(path)
  renameSync(path, `${path}.old`)
  expect(() => readSettingsFile(path)).toThrow('ENOENT')
})

test('content that another process has read can be used too', () => {
  keepFiles(new Map([['/nowhere/key', Buffer.from('three')]]))
  expect(keptInstead('/nowhere/key', NO_RIGHTS).toString()).toBe('three')
  expect(() => keptInstead('/nowhere/other', NO_RIGHTS)).toThrow('EACCES')
})
