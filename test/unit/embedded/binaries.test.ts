import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findSystemPostgres, majorOf, parseVersion } from '../../../src/embedded/binaries.ts'

test('the newest installed PostgreSQL is found, by version number and not by spelling', async () => {
  const root = await makeMachine({ '9/bin': '9.6.24', '15/bin': '15.18 (Debian 15.18-0+deb12u1)', '16/bin': '16.2' })
  expect(findSystemPostgres({ root, path: '' })).toEqual({ version: '16.2', binDirectory: join(root, '16/bin') })
})

test('a major version can be requested', async () => {
  const root = await makeMachine({ '15/bin': '15.18 (Debian 15.18-0+deb12u1)', '16/bin': '16.2' })
  expect(findSystemPostgres({ root, path: '', major: 15 })).toMatchObject({ version: '15.18' })
  expect(findSystemPostgres({ root, path: '', major: 14 })).toBeNull()
})

test('PATH is searched after the usual directories', async () => {
  const root = await makeMachine({ 'elsewhere/bin': '17.1', '15/bin': '15.18' })
  const path = ['/nowhere', join(root, 'elsewhere/bin')].join(delimiter)
  expect(findSystemPostgres({ root, path, major: 17 })).toMatchObject({ version: '17.1' })
  expect(findSystemPostgres({ root, path })).toMatchObject({ version: '15.18' })
})

test('on a machine with only client programs no PostgreSQL is found', async () => {
  const root = await makeMachine({ '15/bin': '15.18' })
  await rm(join(root, '15/bin/initdb'))
  expect(findSystemPostgres({ root, path: '' })).toBeNull()
})

test('a program that cannot be run is skipped', async () => {
  const root = await makeMachine({ '15/bin': '15.18', '16/bin': '16.2' })
  await writeFile(join(root, '16/bin/postgres'), '#!/bin/sh\nexit 127\n')
  expect(findSystemPostgres({ root, path: '' })).toMatchObject({ version: '15.18' })
})

test.each([
  ['postgres (PostgreSQL) 18.4', '18.4', 18],
  ['postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', '15.18', 15],
  ['postgres (PostgreSQL) 19devel', '19devel', 19],
])('the version in "%s" is %s', (line, version, major) => {
  expect(parseVersion(line)).toBe(version)
  expect(majorOf(version)).toBe(major)
})

test('another program named postgres has no version', () => {
  expect(parseVersion('postgres, a postal service 1.0')).toBeNull()
})

/** Creates programs that only print their version, each in its directory. */
async function makeMachine(versions: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'pgweir-machine-'))
  onTestFinished(() => rm(root, { recursive: true }))
  for (const [directory, version] of Object.entries(versions)) {
    await mkdir(join(root, directory), { recursive: true })
    const script = `#!/bin/sh\necho 'postgres (PostgreSQL) ${version}'\n`
    for (const name of ['postgres', 'initdb']) await writeFile(join(root, directory, name), script, { mode: 0o755 })
  }
  return root
}
