/** Receives datagrams on a socket, like the system's log and service manager, until the end of the test. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { encodeAddress } from '../../src/net/epoll/addresses.ts'
import { loadSystemCalls } from '../../src/net/epoll/syscalls.ts'

export interface Receiver {
  readonly path: string
  /** Returns the messages that have arrived since the last call. */
  messages(): string[]
  close(): void
}

/** @param path by default, in a temporary folder; an abstract name begins with `@` */
export function receiveDatagrams(path = join(temporaryFolder(), 'socket')): Receiver {
  const calls = loadSystemCalls()
  const descriptor = calls.datagramSocket()
  calls.bind(descriptor, encodeAddress({ host: path, port: 0 }), path)
  let isOpen = true
  const receiver: Receiver = {
    path,
    messages() {
      const all: string[] = []
      for (let bytes = calls.recv(descriptor); bytes > 0; bytes = calls.recv(descriptor))
        all.push(calls.readBuffer.toString('utf8', 0, bytes))
      return all
    },
    close() {
      if (isOpen) calls.close(descriptor)
      isOpen = false
      rmSync(path, { force: true })
    },
  }
  onTestFinished(() => receiver.close())
  return receiver
}

export function temporaryFolder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
