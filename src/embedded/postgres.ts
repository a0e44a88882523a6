/** Starts a throw-away PostgreSQL for the demo and the tests: on a free port of this machine, and gone without a trace when we are gone. */

import { once } from 'node:events'
import { appendFile, chown, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Binaries, findBinaries, majorOf } from './binaries.ts'
import { type AuthMethod, configurationFile, HOST, hbaFile, initdbArguments } from './configuration.ts'
import { Guarded, type GuardOptions } from './guard.ts'
import { makeSite, type Site } from './site.ts'

export interface EmbeddedPostgresOptions {
  readonly superuser: string
  readonly password: string
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** Settings of postgresql.conf by name. They override our own, which suit throw-away data. */
  readonly settings?: Readonly<Record<string, string>>
  /** How users log in that no line of `hba` matches. */
  readonly authMethod?: AuthMethod
  /** Lines of pg_hba.conf that precede ours, in the syntax of this major version. */
  hba?(major: number): readonly string[]
  /** A directory for data that stays when the server stops. If a start finds data in it, the settings stored there apply unchanged. */
  readonly dataDirectory?: string
  /** The programs of an installed PostgreSQL, instead of the npm package's: see `findSystemPostgres`. */
  readonly binDirectory?: string
  /** Ends a start that is under way. Has no effect afterwards. */
  readonly abort?: AbortSignal
  /** Called with sentences that say what is going on. */
  onProgress?(sentence: string): void
}

export interface EmbeddedPostgres {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly version: string
  /** A private directory that is removed together with the server, however the server ends. */
  readonly directory: string
  /** Resolves when the server is gone, even if nobody has stopped it. */
  readonly ended: Promise<void>
  /** The last lines of the server's log. */
  readonly log: readonly string[]
  /** Ends all connections as an administrator's shutdown does, and removes everything. */
  stop(): Promise<void>
}

const STEP_TIMEOUT_MS = 60_000
/** How long a server may take to stop before it is forced to. */
const STOP_TIMEOUT_MS = 5_000
/** How many ports are tried: another program may take a port between our check and PostgreSQL's binding. */
const MAX_PORT_TRIES = 10
const SHOWN_LOG_LINES = 20

export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (process.platform === 'win32') throw new Error('the embedded PostgreSQL does not run on Windows; use WSL')
  options.abort?.throwIfAborted()
  const site = await makeSite(options.abort, (sentence) => options.onProgress?.(sentence))
  try {
    const binaries = await findBinaries(options.binDirectory, site)
    const dataDirectory = options.dataDirectory ?? join(site.directory, 'data')
    if (!(await holdsCluster(dataDirectory))) await createCluster(options, site, binaries, dataDirectory)
    return await startServer(options, site, binaries, dataDirectory)
  } catch (error) {
    await rm(site.directory, { recursive: true, force: true })
    throw error
  }
}

async function holdsCluster(dataDirectory: string): Promise<boolean> {
  return stat(join(dataDirectory, 'PG_VERSION')).then(
    () => true,
    () => false,
  )
}

async function createCluster(
  options: EmbeddedPostgresOptions,
  site: Site,
  binaries: Binaries,
  dataDirectory: string,
): Promise<void> {
  const { superuser, authMethod = 'scram-sha-256' } = options
  site.say(`initializing PostgreSQL ${binaries.version} in ${dataDirectory}`)
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 })
  const passwordFile = join(site.directory, 'password')
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 })
  if (site.owner) {
    const { uid, gid } = site.owner.ids
    for (const path of [dataDirectory, passwordFile]) await chown(path, uid, gid)
  }

  const major = majorOf(binaries.version)
  const initdb = guard(
    site,
    [
      join(binaries.directory, 'initdb'),
      ...initdbArguments({ major, dataDirectory, passwordFile, superuser, authMethod }),
    ],
    { isDirectoryNeeded: () => true },
  )
  if ((await step(initdb, site, initdb.ended)) !== 0)
    throw failure('PostgreSQL could not create its data directory', initdb)

  await rm(passwordFile)
  await appendFile(join(dataDirectory, 'postgresql.conf'), configurationFile(options.settings ?? {}))
  await writeFile(join(dataDirectory, 'pg_hba.conf'), hbaFile(authMethod, options.hba?.(major) ?? []))
}

async function startServer(
  options: EmbeddedPostgresOptions,
  site: Site,
  binaries: Binaries,
  dataDirectory: string,
): Promise<EmbeddedPostgres> {
  const { superuser: user, password, port: wanted = 0 } = options
  const tries = wanted === 0 ? MAX_PORT_TRIES : 1
  for (let tried = 0; tried < tries; tried++) {
    const port = wanted || (await findFreePort())
    site.say(`starting PostgreSQL ${binaries.version} on ${HOST}:${port}`)
    const server = await launch(site, [join(binaries.directory, 'postgres'), '-D', dataDirectory, '-p', String(port)])
    if (server === 'port-taken') continue
    return {
      host: HOST,
      port,
      user,
      password,
      version: binaries.version,
      directory: site.directory,
      ended: server.ended.then(() => {}),
      log: server.log,
      stop: () => stop(server, site),
    }
  }
  if (wanted === 0) throw new Error(`PostgreSQL found no free port on ${HOST} in ${MAX_PORT_TRIES} tries`)
  throw new Error(`PostgreSQL cannot listen on port ${wanted}, because the port is in use`)
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, HOST)
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

async function launch(site: Site, command: string[]): Promise<Guarded | 'port-taken'> {
  let isPortTaken = false
  let onReady = (_: 'ready') => {}
  const ready = new Promise<'ready'>((resolve) => {
    onReady = resolve
  })
  const server = guard(site, command, {
    isDirectoryNeeded: () => isPortTaken,
    onLine: (line) => {
      if (/could not bind .* in use/.test(line)) isPortTaken = true
      // A standby accepts read-only connections.
      if (/database system is ready to accept (read[- ]only )?connections/.test(line)) onReady('ready')
    },
  })
  if ((await step(server, site, Promise.race([ready, server.ended]))) === 'ready') return server
  if (isPortTaken) return 'port-taken'
  throw failure('PostgreSQL did not start', server)
}

async function stop(server: Guarded, site: Site): Promise<void> {
  // Connected clients learn of an administrator's shutdown (57P01) before the sockets close.
  server.signal('INT')
  const impatience = setTimeout(() => server.release(), STOP_TIMEOUT_MS)
  await server.ended
  clearTimeout(impatience)
  // The guard may not be permitted to remove our directory from the one above, and then leaves it empty.
  await rm(site.directory, { recursive: true, force: true })
}

function guard(site: Site, command: string[], handlers: Pick<GuardOptions, 'isDirectoryNeeded' | 'onLine'>): Guarded {
  const { directory, owner, environment } = site
  return new Guarded(command, { directory, owner, environment, ...handlers })
}

/** Waits for the outcome of a program. Ends the program first if the start is aborted, or if it takes too long. */
async function step<T>(program: Guarded, { abort }: Site, outcome: Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(STEP_TIMEOUT_MS)
  const release = () => program.release()
  for (const reason of [abort, late]) reason?.addEventListener('abort', release)
  try {
    const result = await outcome
    if (abort?.aborted || late.aborted) await program.ended
    abort?.throwIfAborted()
    if (late.aborted) throw failure(`PostgreSQL was not ready within ${STEP_TIMEOUT_MS / 1000} s`, program)
    return result
  } finally {
    for (const reason of [abort, late]) reason?.removeEventListener('abort', release)
  }
}

function failure(sentence: string, program: Guarded): Error {
  return new Error([`${sentence}. Its last lines were:`, ...program.log.slice(-SHOWN_LOG_LINES)].join('\n  '))
}
