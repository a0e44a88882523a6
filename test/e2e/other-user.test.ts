/** Starting as root: pgweir uses root's rights only for what needs them at the start, and does not run with them. */

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { systemUser } from '../../src/auth/system-users.ts'
import { certificate } from '../support/e2e/certificates.ts'
import { writeFiles } from '../support/e2e/files.ts'
import { WORKERS } from '../support/e2e/pgweir.ts'
import { PROGRAM_FILE, Program } from '../support/e2e/program.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const nobody = systemUser('nobody')

/** Whether the user nobody can read the program. Workers run as that user from their start and have to load it. */
const isReadable =
  process.getuid?.() === 0 &&
  nobody !== null &&
  spawnSync(process.execPath, ['-e', `require('fs').accessSync(${JSON.stringify(PROGRAM_FILE)})`], {
    uid: nobody.uid,
    gid: nobody.gid,
  }).status === 0

function uidsOf(pid: number): readonly [number, string] {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const [, uids = ''] = /^Uid:\t(.*)$/m.exec(status) ?? []
  return [new Set(uids.split('\t')).size, uids.split('\t')[0] ?? '']
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

describe.runIf(isReadable)('started by root', () => {
  test('pgweir refuses to run, and says what to do', async () => {
    const { iniFile } = await writeFiles({ database })
    const program = new Program([iniFile], { PGWEIR_ALLOW_ROOT: '0' })
    expect(await program.ended()).toBe(1)
    expect(program.stderr).toContain('pgweir should not run as root')
  })

  test('pgweir -u follows a link of root, such as /dev/stdout', async () => {
    const { directory, iniFile } = await writeFiles({ database, settings: { unix_socket_dir: '' } })
    chmodSync(directory, 0o755)
    const [logfile, ofRoot] = [join(directory, 'link'), join(directory, 'log')]
    writeFileSync(ofRoot, '', { mode: 0o600 })
    symlinkSync(ofRoot, logfile)
    const program = new Program(['-u', 'nobody', '--logfile', logfile, iniFile], { PGWEIR_ALLOW_ROOT: '0' })
    await program.says(/process up/)
    expect(readFileSync(ofRoot, 'utf8')).toContain('process up')
    program.kill('SIGTERM')
    expect(await program.ended()).toBe(0)
  })

  test.each([
    ['is a link of that user to a file of root', true],
    ['is in a folder of root', false],
  ])('pgweir -u writes no file of root as its log: logfile %s', async (_what, isLink) => {
    const { uid = 0, gid = 0 } = nobody ?? {}
    const { directory, iniFile } = await writeFiles({ database, settings: { unix_socket_dir: '' } })
    chmodSync(directory, 0o755)
    const [folder, ofRoot] = [join(directory, 'log'), join(directory, 'secret')]
    const logfile = join(folder, 'pgweir.log')
    mkdirSync(folder)
    writeFileSync(ofRoot, '', { mode: 0o600 })
    if (isLink) {
      symlinkSync(ofRoot, logfile)
      lchownSync(logfile, uid, gid)
      chownSync(folder, uid, gid)
    }
    const program = new Program(['-u', 'nobody', '--logfile', logfile, iniFile], { PGWEIR_ALLOW_ROOT: '0' })
    if (isLink) {
      expect(await program.ended()).toBe(1)
      expect(program.stderr).toContain('logfile cannot be written')
    } else {
      await program.says(/process up/)
      expect(statSync(logfile).uid).toBe(uid)
      program.kill('SIGTERM')
      expect(await program.ended()).toBe(0)
    }
    expect(statSync(ofRoot)).toMatchObject({ uid: 0, size: 0 })
  })

  test('pgweir -u runs all its processes as that user, which owns its files but cannot read the keys', async () => {
    const { uid = 0, gid = 0 } = nobody ?? {}
    const settings = { workers: WORKERS, auth_type: 'scram-sha-256', client_tls_sslmode: 'require' }
    const { directory, iniFile } = await writeFiles({
      database,
      settings: { ...settings, unix_socket_dir: '/nowhere' },
    })
    const [key, users] = [join(directory, 'server.key'), join(directory, 'users.txt')]
    // The directory is open to all, like /etc; the secrets in it are not.
    chmodSync(directory, 0o755)
    copyFileSync(certificate('server.key'), key)
    for (const secret of [key, users]) chmodSync(secret, 0o600)
    const names = ['run', 'log'].map((name) => join(directory, name))
    for (const name of names) {
      mkdirSync(name)
      chownSync(name, uid, gid)
    }
    const [run = '', log = ''] = names
    const flags = {
      pidfile: join(run, 'pgweir.pid'),
      logfile: join(log, 'pgweir.log'),
      unix_socket_dir: run,
      client_tls_key_file: key,
      client_tls_cert_file: certificate('server.crt'),
    }
    const given = Object.entries(flags).flatMap(([name, value]) => [`--${name.replaceAll('_', '-')}`, value])
    const program = new Program(['-u', 'nobody', ...given, iniFile], { PGWEIR_ALLOW_ROOT: '0' })
    const port = Number(await program.says(/listening on 127\.0\.0\.1:(\d+)/))
    await program.says(/process up/)
    const works = async () => {
      const { user, password, database: name } = database
      const client = new pg.Client({
        ...{ host: '127.0.0.1', port, user, password, database: name },
        ssl: { rejectUnauthorized: false },
      })
      await client.connect()
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      await client.end()
    }
    await works()
    const all = () => [program.pid, ...childrenOf(program.pid)]
    expect(all().map(uidsOf)).toEqual(all().map(() => [1, `${uid}`]))
    const socket = join(run, `.s.PGSQL.${port}`)
    for (const path of [flags.pidfile, flags.logfile, socket]) expect(statSync(path).uid, path).toBe(uid)

    program.kill('SIGHUP')
    await program.says(/server\.key cannot be read by user nobody; its previous content stays in use/)
    await program.says(/users\.txt cannot be read by user nobody/)
    await works()
    // A worker that replaces a lost one cannot read them either.
    const [lost] = childrenOf(program.pid)
    if (lost !== undefined) {
      process.kill(lost, 'SIGKILL')
      await until('all are there again', () => {
        const now = childrenOf(program.pid)
        return now.length === WORKERS && !now.includes(lost)
      })
      for (let times = 0; times < 2 * WORKERS; times++) await works()
    }
    program.kill('SIGTERM')
    expect(await program.ended()).toBe(0)
    for (const path of [flags.pidfile, socket]) expect(existsSync(path), path).toBe(false)
  })
})
