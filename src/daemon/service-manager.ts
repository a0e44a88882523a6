/**
 * The service manager that has started us, systemd or a compatible one: the notifications it receives, and the sockets it has opened for us.
 * https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html, …/sd_listen_fds.html and …/sd_watchdog_enabled.html
 */

import type { Log } from '../base/log.ts'
import { MAX_TIMER_MS } from '../base/timers.ts'
import { openDatagrams } from '../net/datagrams.ts'

export interface ServiceManager {
  /** Reports that clients are served, at the start or after a reload. Starts the watchdog notifications. */
  ready(): void
  reloading(): void
  /** Reports that the pooler is about to end. */
  stopping(): void
  /** Sets the status text that people see in `systemctl status`. */
  status(sentence: string): void
  /** Sends no more notifications. */
  close(): void
}

export const NO_SERVICE_MANAGER: ServiceManager = {
  ready() {},
  reloading() {},
  stopping() {},
  status() {},
  close() {},
}

export type Environment = Record<string, string | undefined>

/** The first of the descriptors that the service manager passes. */
const FIRST_DESCRIPTOR = 3

/** Removes the variables from the environment, since they are meant for this process only and workers would inherit them. */
export function findServiceManager(env: Environment, log: Log): ServiceManager {
  const { NOTIFY_SOCKET: path = '', WATCHDOG_USEC: watchdogUs, WATCHDOG_PID: watchedPid } = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (path === '') return NO_SERVICE_MANAGER
  const isWatched = watchedPid === undefined || Number(watchedPid) === process.pid
  try {
    return new NotifiedManager(path, isWatched ? Number(watchdogUs) / 1_000 : 0, log)
  } catch (cause) {
    log.warning(
      `the service manager cannot be notified; use Type=exec instead of Type=notify: ${(cause as Error).message}`,
    )
    return NO_SERVICE_MANAGER
  }
}

class NotifiedManager implements ServiceManager {
  readonly #datagrams: ReturnType<typeof openDatagrams>
  readonly #watchdogMs: number
  #watchdog: NodeJS.Timeout | null = null

  constructor(path: string, watchdogMs: number, log: Log) {
    let hasFailed = false
    this.#datagrams = openDatagrams(path, (problem) => {
      if (problem !== null && !hasFailed)
        log.warning(`the service manager does not accept notifications: ${problem.message}`)
      hasFailed = problem !== null
    })
    this.#watchdogMs = watchdogMs
  }

  ready(): void {
    // MAINPID, because with --daemon the service manager has started another process than this one.
    this.#tell('READY=1', `MAINPID=${process.pid}`)
    if (this.#watchdog !== null || !(this.#watchdogMs > 0)) return
    // Half of the time after which the service manager would consider us hung.
    this.#watchdog = setInterval(() => this.#tell('WATCHDOG=1'), Math.min(this.#watchdogMs / 2, MAX_TIMER_MS))
    this.#watchdog.unref()
  }

  reloading(): void {
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`)
  }

  stopping(): void {
    this.#tell('STOPPING=1')
  }

  status(sentence: string): void {
    this.#tell(`STATUS=${sentence}`)
  }

  close(): void {
    if (this.#watchdog !== null) clearInterval(this.#watchdog)
    this.#datagrams.close()
  }

  #tell(...lines: string[]): void {
    this.#datagrams.send(Buffer.from(lines.join('\n')))
  }
}

/**
 * Returns the listening sockets that the service manager has opened for us; they replace `listen_addr` and `unix_socket_dir`. Removes the
 * variables from the environment.
 */
export function inheritedDescriptors(env: Environment): readonly number[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name]
  if (pid === undefined || Number(pid) !== process.pid || !/^\d{1,3}$/.test(count ?? '')) return []
  return Array.from({ length: Number(count) }, (_, index) => FIRST_DESCRIPTOR + index)
}
