import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { copyTree, mendTree } from '../../../src/embedded/tree.ts'

test('missing links of shared libraries are created', async () => {
  const native = await makeTree()
  await mendTree(native)
  expect(await readlink(join(native, 'lib/libpq.so.5'))).toBe('libpq.so.5.18')
  expect(await readFile(join(native, 'lib/libpq.so'), 'utf8')).toBe('the library')
})

test('a program that lost its mode is made executable again', async () => {
  const native = await makeTree()
  await mendTree(native)
  expect((await stat(join(native, 'bin/postgres'))).mode & 0o777).toBe(0o755)
})

test('repairing twice or in several processes at once gives the same result', async () => {
  const native = await makeTree()
  await Promise.all([mendTree(native), mendTree(native), mendTree(native)])
  await mendTree(native)
  expect(await readlink(join(native, 'lib/libpq.so'))).toBe('libpq.so.5.18')
})

test('an existing link stays as it is', async () => {
  const native = await makeTree()
  await symlink('libpq.so.5', join(native, 'lib/libpq.so'))
  await mendTree(native)
  expect(await readlink(join(native, 'lib/libpq.so'))).toBe('libpq.so.5')
})

test('a package without a list of links gets no links', async () => {
  const native = await makeTree()
  await rm(join(native, 'pg-symlinks.json'))
  await mendTree(native)
  await expect(stat(join(native, 'lib/libpq.so'))).rejects.toThrow('ENOENT')
})

test('a copy under another name is repaired, and omits what only compilers need', async () => {
  const native = await makeTree()
  const copy = join(native, '../../copy')
  await copyTree(native, copy, null)
  expect(await readFile(join(copy, 'lib/libpq.so.5'), 'utf8')).toBe('the library')
  expect((await stat(join(copy, 'bin/postgres'))).mode & 0o777).toBe(0o755)
  await expect(stat(join(copy, 'lib/libpq.a'))).rejects.toThrow('ENOENT')
  await expect(stat(join(native, 'lib/libpq.so'))).rejects.toThrow('ENOENT')
})

/** What npm unpacks: no links, and in this case no file modes either. */
async function makeTree(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'pgweir-tree-'))
  onTestFinished(() => rm(root, { recursive: true }))
  const native = join(root, 'package/native')
  await mkdir(join(native, 'lib'), { recursive: true })
  await mkdir(join(native, 'bin'))
  await writeFile(join(native, 'lib/libpq.so.5.18'), 'the library')
  await writeFile(join(native, 'lib/libpq.a'), 'the library for compilers')
  await writeFile(join(native, 'bin/postgres'), 'the program')
  await chmod(join(native, 'bin/postgres'), 0o644)
  const links = ['native/lib/libpq.so', 'native/lib/libpq.so.5']
  const list = links.map((target) => ({ source: 'native/lib/libpq.so.5.18', target }))
  await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(list))
  return native
}
