/** Starts the programs that are measured, and makes sure that none of them outlives the benchmark. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { connect, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface ChildOptions {
  readonly ids?: { readonly uid: number; readonly gid: number } | undefined
}

export interface Child {
  readonly pid: number
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 20_000
const POLL_MS = 20
const STOP_TIMEOUT_MS = 10_000
const SHOWN_CHARACTERS = 2_000

/** An SSLRequest, which is answered without a login. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Resolves once a pooler answers on the port. */
export async function startOnPort(
  program: string,
  args: readonly string[],
  port: number,
  options: ChildOptions = {},
): Promise<Child> {
  // The machine may have no user other than root.
  const env = { ...process.env, PGWEIR_ALLOW_ROOT: '1' }
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env, ...options.ids })
  running.add(child)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-SHOWN_CHARACTERS)
  })
  let ended: string | null = null
  child.once('error', (problem) => {
    ended = problem.message
  })
  child.once('exit', (code, signal) => {
    ended ??= `it ended with ${signal ?? code}`
    running.delete(child)
  })
  const deadlineMs = performance.now() + START_TIMEOUT_MS
  while (!(await answers(port))) {
    if (ended === null && performance.now() > deadlineMs) ended = `nothing answers on port ${port}`
    if (ended !== null) {
      child.kill('SIGKILL')
      throw new Error(`${program} did not start (${ended}): ${said}`)
    }
    await delay(POLL_MS)
  }
  return { pid: child.pid ?? 0, stop: () => stop(child) }
}

async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(impatience)
}

/**
 * Returns whether a client would get an answer. An accepted connection does not prove that: the kernel accepts for a program that does not read
 * yet.
 */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write(SSL_REQUEST)
    await Promise.race([once(socket, 'data'), once(socket, 'end').then(() => Promise.reject(new Error('closed')))])
    return true
  } catch {
    // Not yet: the caller tries again.
    return false
  } finally {
    socket.destroy()
  }
}

export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Returns the path of a program on PATH, or in one of the other directories; null if it is in none. */
export function findProgram(name: string, elsewhere: readonly string[] = []): string | null {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...elsewhere]) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this directory.
    }
  }
  return null
}
