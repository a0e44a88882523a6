import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createLog, silentLog } from '../../../src/base/log.ts'
import { UserFileWatch } from '../../../src/daemon/user-file-watch.ts'
import { loadSettings } from '../../../src/settings/load.ts'

test('a changed file is read once two consecutive checks find it unchanged, because it may be written in pieces', async () => {
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

test('a check of the file that began before a reload has read it is ignored', async () => {
  const { settings } = loadSettings({ flags: { auth_file: '/nowhere/userlist.txt' }, upstream: 'postgres://db/' })
  const users = { stamp: 'before' }
  const lines: string[] = []
  const log = createLog({ format: 'text', level: 'info', wallMs: () => 0, write: (line) => lines.push(line) })
  const answers: ((stamp: string) => void)[] = []
  const watch = new UserFileWatch({
    ...{ settings: () => settings, log, users, take: ({ secrets }) => lines.push(`takes ${secrets.size}`) },
    readStamp: () => new Promise((resolve) => answers.push(resolve)),
  })
  const answer = async (stamp: string) => {
    answers.shift()?.(stamp)
    await new Promise((resolve) => setImmediate(resolve))
  }
  watch.sweep(1_000)
  await answer('before')
  watch.sweep(2_000)
  users.stamp = 'read by the reload'
  await answer('before')
  for (const atMs of [3_000, 4_000]) {
    watch.sweep(atMs)
    await answer('read by the reload')
  }
  expect(lines).toEqual([])
})
