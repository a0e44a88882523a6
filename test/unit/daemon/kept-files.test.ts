import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepFiles, keptFiles, keptInstead, readSettingsFile, takeUnreadable } from '../../../src/daemon/kept-files.ts'
import { temporaryFolder } from '../../support/datagrams.ts'

/** What the system says to those who have no rights; root, who may run the tests, always has them. */
const NO_RIGHTS = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })

test('nothing is kept where nobody has asked for it', () => {
  const path = join(temporaryFolder(), 'key')
  writeFileSync(path, 'one')
  expect(readSettingsFile(path).toString()).toBe('one')
  expect(keptFiles().size).toBe(0)
  expect(() => keptInstead(path, NO_RIGHTS)).toThrow('EACCES')
})

test('a file that must not be read any more stays as it was, and is told of once', () => {
  const path = join(temporaryFolder(), 'key')
  writeFileSync(path, 'one')
  keepFiles()
  readSettingsFile(path)
  writeFileSync(path, 'two')
  expect(readSettingsFile(path).toString(), 'with rights it is read anew').toBe('two')
  expect(keptInstead(path, NO_RIGHTS).toString()).toBe('two')
  expect(takeUnreadable()).toEqual([path])
  expect(takeUnreadable()).toEqual([])
})

test('a file that is gone is an error all the same', () => {
  const path = join(temporaryFolder(), 'key')
  writeFileSync(path, 'one')
  keepFiles()
  readSettingsFile(path)
  renameSync(path, `${path}.old`)
  expect(() => readSettingsFile(path)).toThrow('ENOENT')
})

test('what another process has read is as good', () => {
  keepFiles(new Map([['/nowhere/key', Buffer.from('three')]]))
  expect(keptInstead('/nowhere/key', NO_RIGHTS).toString()).toBe('three')
  expect(() => keptInstead('/nowhere/other', NO_RIGHTS)).toThrow('EACCES')
})
