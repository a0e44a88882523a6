import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { silentLog } from '../../../src/base/log.ts'
import { UserFileWatch } from '../../../src/daemon/user-file-watch.ts'
import { loadSettings } from '../../../src/settings/load.ts'

test('a file is read once it has stayed the same for two looks: it may be written in pieces', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-users-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'userlist.txt')
  const { settings } = loadSettings({ flags: { auth_file: path }, upstream: 'postgres://db/' })
  const taken: string[][] = []
  let stamp = 'at first'
  let atMs = 0
  const watch = new UserFileWatch({
    ...{ settings: () => settings, log: silentLog, users: { stamp: 'at first' } },
    take: ({ secrets }) => taken.push([...secrets.keys()]),
    readStamp: async () => stamp,
  })
  const look = async () => {
    atMs += 1_000
    watch.sweep(atMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await look()
  await look()
  for (let size = 1; size <= 5; size++) {
    writeFileSync(path, `"ada" "${'x'.repeat(size)}`)
    stamp = `${size} written`
    await look()
  }
  writeFileSync(path, '"ada" "secret"\n')
  stamp = 'all of it'
  await look()
  expect(taken).toEqual([])
  await look()
  expect(taken).toEqual([['ada']])
})
